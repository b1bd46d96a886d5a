//! The server: its listeners, its workers, its stop.

use std::future::Future;
use std::net::{SocketAddr, TcpListener};
use std::num::NonZero;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix_http::{HttpService, KeepAlive, Request};
use actix_server::Server;
use actix_service::{IntoServiceFactory, ServiceFactory, ServiceFactoryExt as _, fn_service, map_config};
use actix_web::body::MessageBody;
use actix_web::dev::{AppConfig, ResourceDef, ServiceResponse};
use actix_web::http::Method;
use actix_web::http::header::CONTENT_SECURITY_POLICY;
use actix_web::middleware::{DefaultHeaders, from_fn};
use actix_web::{App as ActixApp, Error, ResponseError as _, web};
use tokio::net::TcpStream;
use utoipa::openapi::OpenApi;
use utoipa::openapi::path::PathItem;
use utoipa_actix_web::AppExt as _;
use utoipa_swagger_ui::SwaggerUi;

use super::api_document::Document;
use super::connection::{Connection, HEAD_TIMEOUT};
use super::error::ApiError;
use super::limits;
use super::middleware::{self, HttpContext};
use super::openapi;
use super::pages::{self, Assets};
use super::{metrics, routes, upgrade};
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
            tracing::error!("metrics listener panicked");
        }
        served
    }
}

/// How long more of a body is taken and thrown away after the answer, so that the client reads that.
const LINGER: Duration = Duration::from_secs(1);
/// Connections to the metrics listener at a time.
const METRICS_CONNECTIONS: usize = 64;

/// Opens the sockets; requests are served once the servers are awaited.
pub fn listen(app: web::Data<App>) -> std::io::Result<Listening> {
    let settings = &app.config.server;
    let socket = bind("server.listen", settings.listen)?;
    let address = socket.local_addr()?;
    let metrics_socket = settings.metrics_listen.map(|address| bind("server.metrics_listen", address)).transpose()?;
    let metrics_address = metrics_socket.as_ref().map(TcpListener::local_addr).transpose()?;
    let metrics = metrics_socket.map(|socket| serve_metrics(&app, socket)).transpose()?;
    let assets = app.config.console.enabled.then(|| Assets::new(&app.config)).transpose()?;
    let server = serve(app, socket, assets)?;
    Ok(Listening { address, metrics_address, server, metrics })
}

/// The system names neither the address nor whose it is.
fn bind(key: &str, address: SocketAddr) -> std::io::Result<TcpListener> {
    let told = |error: std::io::Error| {
        std::io::Error::new(error.kind(), format!("{key}: {address} cannot be listened on: {error}"))
    };
    TcpListener::bind(address).map_err(told)
}

fn serve(app: web::Data<App>, socket: TcpListener, assets: Option<Assets>) -> std::io::Result<Server> {
    let settings = app.config.server.clone();
    let context = Arc::new(HttpContext::new(&app.config, Arc::clone(&app.clock), Arc::clone(&app.metrics)));
    let description = openapi::document();
    let document = web::Data::new(Document::new(&description));
    let known = web::Data::new(KnownPaths::new(&description));
    let assets = assets.map(web::Data::new);
    let pages = move |config: &mut web::ServiceConfig| {
        if let Some(assets) = &assets {
            pages::routes(config.app_data(assets.clone()));
        }
    };
    let service = move || {
        let routed = ActixApp::new()
            .app_data(app.clone())
            .app_data(document.clone())
            .app_data(known.clone())
            .into_utoipa_app()
            .configure(routes::table)
            .into_app()
            .configure(&pages)
            // Relative, like the page's own addresses: a proxy may serve all this under a path of its own.
            .service(web::redirect("/docs", "docs/"))
            .service(web::scope("/docs").wrap(docs_policy()).service(SwaggerUi::new("/{_:.*}").config(docs())))
            .default_service(web::to(unknown));
        middleware::wrap(routed, &context, &settings.cors_origins)
    };
    let workers = if settings.workers > 0 { settings.workers } else { cores() };
    let connections = limits::connections_for(workers);
    tracing::debug!(workers, connections, "connections that each worker takes");
    serve_on(socket, workers, connections, settings.shutdown_timeout, service)
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, NonZero::get)
}

/// Serves a socket, each connection with its limits.
fn serve_on<F, I, S, B>(
    socket: TcpListener,
    workers: usize,
    connections: usize,
    shutdown_timeout: Duration,
    service: F,
) -> std::io::Result<Server>
where
    F: Fn() -> I + Send + Clone + 'static,
    I: IntoServiceFactory<S, Request>,
    S: ServiceFactory<Request, Config = AppConfig, Response = ServiceResponse<B>, Error = Error> + 'static,
    S::InitError: std::fmt::Debug,
    B: MessageBody + 'static,
{
    let builder = Server::build();
    let stopping = builder.graceful_shutdown_signal();
    let http = move || {
        let stopping = stopping.clone();
        let stopped = move || {
            let stopping = stopping.clone();
            async move { stopping.notified().await }
        };
        let http = HttpService::build()
            .graceful_shutdown_signal(stopped)
            // For how long, the connection itself decides.
            .keep_alive(KeepAlive::Os)
            .client_request_timeout(HEAD_TIMEOUT)
            .client_disconnect_timeout(LINGER)
            .on_connect_ext(|connection: &Connection, data| drop(data.insert(Rc::clone(&connection.activity))))
            .h1(map_config(service().into_factory().map(upgrade::ignore), |()| AppConfig::default()));
        fn_service(|stream: TcpStream| async {
            let peer = stream.peer_addr().ok();
            Ok((Connection::new(stream), peer))
        })
        .and_then(http)
    };
    let builder = builder
        .workers(workers)
        .max_concurrent_connections(connections)
        .shutdown_timeout(shutdown_timeout.as_secs().max(1))
        .disable_signals();
    limits::bound_send_buffer(&socket)?;
    Ok(builder.listen("vigie", socket, http)?.run())
}

/// The page asks nobody else: the validator it would ask by itself is somebody's on the internet.
fn docs() -> utoipa_swagger_ui::Config<'static> {
    utoipa_swagger_ui::Config::new(["../openapi.json"]).try_it_out_enabled(false).validator_url("none")
}

/// What the page may do: run the scripts that come with it, show its embedded pictures, read the document.
fn docs_policy() -> DefaultHeaders {
    const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
        connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
    DefaultHeaders::new().add((CONTENT_SECURITY_POLICY, POLICY))
}

fn serve_metrics(app: &web::Data<App>, socket: TcpListener) -> std::io::Result<Server> {
    let counted = Arc::clone(&app.metrics);
    let service =
        move || ActixApp::new().configure(metrics::routes(Arc::clone(&counted))).wrap(from_fn(middleware::under_way));
    serve_on(socket, 1, METRICS_CONNECTIONS, Duration::from_secs(1), service)
}

/// The paths and methods of the table, for telling an unknown path from an unknown method.
#[derive(Debug)]
struct KnownPaths(Vec<(ResourceDef, String)>);

impl KnownPaths {
    fn new(document: &OpenApi) -> Self {
        let known =
            document.paths.paths.iter().map(|(path, item)| (ResourceDef::new(path.as_str()), allowed(path, item)));
        Self(known.collect())
    }

    /// The methods that a path knows, as the header `Allow` lists them.
    fn methods(&self, path: &str) -> Option<String> {
        self.0.iter().find(|(pattern, _)| pattern.is_match(path)).map(|(_, methods)| methods.clone())
    }
}

fn allowed(path: &str, item: &PathItem) -> String {
    let methods = [
        (Method::GET, item.get.is_some()),
        (Method::HEAD, item.head.is_some() || middleware::answers_head(path)),
        (Method::POST, item.post.is_some()),
        (Method::PATCH, item.patch.is_some()),
        (Method::DELETE, item.delete.is_some()),
    ];
    let known: Vec<&str> =
        methods.iter().filter(|(_, is_known)| *is_known).map(|(method, _)| method.as_str()).collect();
    known.join(", ")
}

async fn unknown(known: web::Data<KnownPaths>, request: actix_web::HttpRequest) -> actix_web::HttpResponse {
    match known.methods(request.path()) {
        Some(methods) => ApiError::MethodNotAllowed(methods).error_response(),
        None => pages::not_found(&request).unwrap_or_else(|| ApiError::NotFound.error_response()),
    }
}
