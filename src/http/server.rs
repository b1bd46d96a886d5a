//! The server: its listeners, its workers, its stop.

use std::future::Future;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::{ResourceDef, Server};
use actix_web::http::Method;
use actix_web::http::header::CONTENT_SECURITY_POLICY;
use actix_web::middleware::DefaultHeaders;
use actix_web::{App as ActixApp, HttpServer, ResponseError as _, web};
use utoipa::openapi::OpenApi;
use utoipa::openapi::path::PathItem;
use utoipa_actix_web::AppExt as _;
use utoipa_swagger_ui::SwaggerUi;

use super::error::ApiError;
use super::middleware::{self, HttpContext};
use super::openapi::{self, Document};
use super::{metrics, routes};
use crate::app::App;
use crate::background;

/// A server whose sockets are open.
pub struct Listening {
    /// Where the API is served.
    pub address: SocketAddr,
    /// Where the metrics are served, if they are.
    pub metrics_address: Option<SocketAddr>,
    server: Server,
    metrics: Option<Server>,
}

impl std::fmt::Debug for Listening {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Listening({})", self.address)
    }
}

/// Serves until `stop` resolves: then no new requests are taken, those under way finish, and this returns.
///
/// Call it from a thread that runs no other runtime.
pub fn run(
    app: Arc<App>,
    on_ready: impl FnOnce(&Listening),
    stop: impl Future<Output = ()> + 'static,
) -> std::io::Result<()> {
    actix_web::rt::System::new().block_on(async move {
        let app = web::Data::from(app);
        let listening = listen(app.clone())?;
        let jobs = background::start(&app, listening.address);
        on_ready(&listening);
        let served = listening.serve_until(stop).await;
        jobs.stop().await;
        served
    })
}

impl Listening {
    /// Serves until `stop` resolves, then until the requests under way have been answered.
    pub async fn serve_until(self, stop: impl Future<Output = ()> + 'static) -> std::io::Result<()> {
        let handle = self.server.handle();
        let metrics_handle = self.metrics.as_ref().map(Server::handle);
        let metrics = self.metrics.map(actix_web::rt::spawn);
        actix_web::rt::spawn(async move {
            stop.await;
            handle.stop(true).await;
        });
        let served = self.server.await;
        if let Some(handle) = metrics_handle {
            handle.stop(true).await;
        }
        if let Some(metrics) = metrics
            && metrics.await.is_err()
        {
            tracing::error!("the metrics listener ended by a panic");
        }
        served
    }
}

/// Longest that a client may take to send its request's head.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

/// Opens the sockets; requests are served once the servers are awaited.
pub fn listen(app: web::Data<App>) -> std::io::Result<Listening> {
    let socket = TcpListener::bind(app.config.server.listen)?;
    let address = socket.local_addr()?;
    let metrics_socket = app.config.server.metrics_listen.map(TcpListener::bind).transpose()?;
    let metrics_address = metrics_socket.as_ref().map(TcpListener::local_addr).transpose()?;
    let metrics = metrics_socket.map(|socket| serve_metrics(&app, socket)).transpose()?;
    let server = serve(app, socket)?;
    Ok(Listening { address, metrics_address, server, metrics })
}

fn serve(app: web::Data<App>, socket: TcpListener) -> std::io::Result<Server> {
    let settings = app.config.server.clone();
    let context = Arc::new(HttpContext::new(&settings, Arc::clone(&app.clock), Arc::clone(&app.metrics)));
    let description = openapi::document();
    let document = web::Data::new(Document::new(&description));
    let known = web::Data::new(KnownPaths::new(&description));
    let cors_origins = settings.cors_origins.clone();
    let server = HttpServer::new(move || {
        let routed = ActixApp::new()
            .app_data(app.clone())
            .app_data(document.clone())
            .app_data(known.clone())
            .into_utoipa_app()
            .configure(routes::table)
            .into_app()
            .service(web::redirect("/docs", "/docs/"))
            .service(web::scope("/docs").wrap(docs_policy()).service(SwaggerUi::new("/{_:.*}").config(docs())))
            .default_service(web::to(unknown));
        middleware::wrap(routed, &context, &cors_origins)
    });
    let shutdown = settings.shutdown_timeout.as_secs().max(1);
    let server = server
        .client_request_timeout(HEAD_TIMEOUT)
        .shutdown_timeout(shutdown)
        .disable_signals()
        .server_hostname("vigie");
    let server = if settings.workers > 0 { server.workers(settings.workers) } else { server };
    Ok(server.listen(socket)?.run())
}

/// The page asks nobody else: the validator it would ask by itself is somebody's on the internet.
fn docs() -> utoipa_swagger_ui::Config<'static> {
    utoipa_swagger_ui::Config::new(["/openapi.json"]).try_it_out_enabled(false).validator_url("none")
}

/// What the page may do: run the scripts that come with it, show its embedded pictures, read the document.
fn docs_policy() -> DefaultHeaders {
    const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
        connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
    DefaultHeaders::new().add((CONTENT_SECURITY_POLICY, POLICY))
}

fn serve_metrics(app: &web::Data<App>, socket: TcpListener) -> std::io::Result<Server> {
    let counted = Arc::clone(&app.metrics);
    let server = HttpServer::new(move || ActixApp::new().configure(metrics::routes(Arc::clone(&counted))));
    Ok(server.workers(1).shutdown_timeout(1).disable_signals().listen(socket)?.run())
}

/// The paths and methods of the table, for telling an unknown path from an unknown method.
#[derive(Debug)]
struct KnownPaths(Vec<(ResourceDef, String)>);

impl KnownPaths {
    fn new(document: &OpenApi) -> Self {
        let known = document.paths.paths.iter().map(|(path, item)| (ResourceDef::new(path.as_str()), allowed(item)));
        Self(known.collect())
    }

    /// The methods that a path knows, as the header `Allow` lists them.
    fn methods(&self, path: &str) -> Option<String> {
        self.0.iter().find(|(pattern, _)| pattern.is_match(path)).map(|(_, methods)| methods.clone())
    }
}

fn allowed(item: &PathItem) -> String {
    let methods = [
        (Method::GET, item.get.is_some()),
        (Method::HEAD, item.head.is_some()),
        (Method::POST, item.post.is_some()),
        (Method::PATCH, item.patch.is_some()),
        (Method::DELETE, item.delete.is_some()),
    ];
    let known: Vec<&str> =
        methods.iter().filter(|(_, is_known)| *is_known).map(|(method, _)| method.as_str()).collect();
    known.join(", ")
}

async fn unknown(known: web::Data<KnownPaths>, request: actix_web::HttpRequest) -> actix_web::HttpResponse {
    let error = known.methods(request.path()).map_or(ApiError::NotFound, ApiError::MethodNotAllowed);
    error.error_response()
}
