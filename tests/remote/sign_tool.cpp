// Reads requests as JSON lines and prints for each, as a JSON line, the headers that http::sign() adds:
//   {"method","host","target","body","headers":[[name,value]],"key","secret","token","region","service","at_ms"}
#include <iostream>
#include <string>

#include <nlohmann/json.hpp>

#include "http/sigv4.h"

int main() {
  for (std::string line; std::getline(std::cin, line);) {
    const nlohmann::json asked = nlohmann::json::parse(line);
    weir::http::Credentials credentials;
    credentials.access_key_id = asked.at("key");
    credentials.secret_access_key = asked.at("secret");
    credentials.session_token = asked.at("token");
    weir::http::SigningScope scope;
    scope.region = asked.at("region");
    scope.service = asked.at("service");
    scope.at = weir::from_epoch_milliseconds(asked.at("at_ms"));
    weir::http::Headers headers;
    for (const auto& field : asked.at("headers"))
      headers.add(field.at(0).get<std::string>(), field.at(1).get<std::string>());
    weir::http::sign(asked.at("method"), asked.at("host").get<std::string>(), asked.at("target").get<std::string>(),
                     asked.at("body").get<std::string>(), credentials, scope, headers);
    nlohmann::json answer = nlohmann::json::object();
    for (const auto& [name, value] : headers.all()) answer[name] = value;
    std::cout << answer.dump() << std::endl;
  }
}
