// AWS's Web Adapter: an extension, which takes the invocations itself and hands them to a web server. This is what its own
// program says; cargo compiles only the library of what others depend on.
use lambda_web_adapter::{Adapter, AdapterOptions, Error};

#[tokio::main]
async fn main() -> Result<(), Error> {
    let mut adapter = Adapter::new(&AdapterOptions::default());
    adapter.register_default_extension();
    adapter.check_init_health().await;
    adapter.run().await
}
