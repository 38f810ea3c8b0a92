#pragma once

#include <memory>
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
  std::string
      endpoint_url;     ///< "": https://lambda.REGION.amazonaws.com (.cn in China); else AWS_ENDPOINT_URL_LAMBDA's way
  std::string profile;  ///< "": AWS_PROFILE, else "default"
  Duration timeout = std::chrono::seconds(905);  ///< for one exchange
};

/// Invokes with SigV4. Credentials come from the SDKs' chain: environment, web identity, shared files with profiles
/// (static, role_arn with source_profile, credential_process), container metadata, instance metadata (IMDSv2); fetched
/// at the first call and again before they end. 429 and 5xx become Throttled and ServiceFailed. Secrets are never
/// logged.
Result<std::unique_ptr<LambdaEndpoint>> make_aws_endpoint(net::any_io_executor executor, net::any_io_executor blocking,
                                                          AwsEndpointSettings settings, Log& log, const Clock& clock);

}  // namespace weir::remote
