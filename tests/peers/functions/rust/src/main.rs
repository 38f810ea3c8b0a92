// The function of the peer tests for Rust, run by AWS's own runtime client (crate lambda_runtime).
//
// The event says in `do` what is to happen, as it does to functions/node/index.mjs.
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use lambda_runtime::{service_fn, Diagnostic, Error, LambdaEvent};
use serde_json::{json, Value};

#[derive(Debug)]
struct OrderRefused(&'static str);

impl From<OrderRefused> for Diagnostic {
    fn from(refused: OrderRefused) -> Diagnostic {
        Diagnostic {
            error_type: "OrderRefused".into(),
            error_message: format!("no such customer: {}", refused.0),
        }
    }
}

async fn handle(event: LambdaEvent<Value>) -> Result<Value, OrderRefused> {
    let (payload, context) = event.into_parts();
    println!("peer function was asked for {}", payload["do"].as_str().unwrap_or("nothing"));
    match payload["do"].as_str() {
        Some("echo") => {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is after 1970");
            Ok(json!({
                "event": payload,
                "request_id": context.request_id,
                "arn": context.invoked_function_arn,
                "left": context.deadline as i64 - now.as_millis() as i64,
                "trace": context.xray_trace_id,
                "context": context.client_context.map(|client| client.custom),
                "pid": std::process::id(),
            }))
        }
        Some("environment") => Ok(std::env::vars().map(|(name, value)| (name, Value::from(value))).collect()),
        Some("throw") => Err(OrderRefused("Zoë")),
        Some("panic") => panic!("no such customer: Zoë"),
        Some("exit") => std::process::exit(payload["status"].as_i64().unwrap_or(0) as i32),
        Some("kill") => std::process::abort(),
        Some("hang") => {
            tokio::time::sleep(Duration::from_secs(600)).await;
            Ok(Value::Null)
        }
        _ => panic!("what is {payload}?"),
    }
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    lambda_runtime::run(service_fn(handle)).await
}
