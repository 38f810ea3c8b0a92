#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include <boost/asio/any_io_executor.hpp>

#include "weir/base/error.h"
#include "weir/base/log.h"
#include "weir/base/time.h"
#include "weir/lambda_endpoint.h"

namespace weir::remote {

/// A function of real Lambda.
struct AwsEndpointSettings {
  std::string name;    ///< in the configuration; for errors and logs
  std::string arn;     ///< arn:aws:lambda:REGION:ACCOUNT:function:NAME[:QUALIFIER]; or a name, with `region`
  std::string region;  ///< "": the ARN's, else AWS_REGION, AWS_DEFAULT_REGION, the profile's
  /// "": AWS_ENDPOINT_URL_LAMBDA, AWS_ENDPOINT_URL, the profile's endpoint_url; else AWS's own address in the region.
  std::string endpoint_url;
  std::string profile;  ///< goes before keys of the environment; "": AWS_PROFILE, else "default", after them
  Duration timeout = std::chrono::seconds(905);  ///< for one exchange
  /// Gives environment variables; none: the process's own. Read whenever credentials are fetched.
  std::function<std::optional<std::string>(const std::string& name)> environment;
  Duration metadata_pause = std::chrono::seconds(1);  ///< before a metadata service that failed is asked again
};

/// Invokes with SigV4. Credentials come from the SDKs' chain: environment, web identity, shared files with profiles
/// (static, role_arn with source_profile, credential_process), container metadata, instance metadata (IMDSv2); fetched
/// at the first call and again before they end. 429 and 5xx become Throttled and ServiceFailed. Secrets are never
/// logged.
Result<std::unique_ptr<LambdaEndpoint>> make_aws_endpoint(net::any_io_executor executor, net::any_io_executor blocking,
                                                          AwsEndpointSettings settings, Log& log, const Clock& clock);

}  // namespace weir::remote
