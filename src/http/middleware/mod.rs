//! What happens to every request, whatever its route. From the outside in:
//!
//! 1. **observe**: who asks, the request id; then, on the way out, the body of a problem, the headers, the metrics
//!    and the log line. Outermost, so that a refused preflight and a panic pass it too.
//! 2. **head limit**, inside the same step: nothing looks at a head that is too large.
//! 3. **last resort**, inside the same step: it must be able to see everything below panic.
//! 4. **HEAD as GET**, inside the same step, for what is open to everybody; and **forward-auth's preflights**, which are
//!    somebody else's.
//! 5. **CORS**: answers preflights before any route is looked for.

mod access_log;
mod catch_panic;
mod challenge;
mod cors;
mod head;
mod preflight;
mod security_headers;
#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_web::body::{EitherBody, MessageBody};
use actix_web::dev::{ServiceFactory, ServiceRequest, ServiceResponse};
use actix_web::error::InternalError;
use actix_web::http::{ConnectionType, Version};
use actix_web::middleware::{Condition, Next, from_fn};
use actix_web::{App, Error, HttpMessage as _, HttpRequest, HttpResponse};
use ipnet::IpNet;

pub(super) use access_log::method_word;
pub use cors::cors;
pub(super) use head::answers_head;

use super::connection::{Activity, Answering, UnderWay};
use super::error::ApiError;
use super::problem;
use super::remote_address::RemoteAddress;
use super::request_extension::RequestExtension;
use super::request_id::{RequestIdentity, X_REQUEST_ID};
use crate::clock::Clock;
use crate::config::{Config, Published};
use crate::model::address::canonical_network;
use crate::telemetry::{Metrics, RequestMetrics};

/// Largest address and headers together, in bytes.
const MAX_HEAD: usize = 16 * 1024;

/// What the middleware needs to know of the server.
#[derive(Debug)]
pub struct HttpContext {
    /// Dates the request ids.
    pub clock: Arc<dyn Clock>,
    /// Proxies whose headers are believed.
    pub trusted_proxies: Vec<IpNet>,
    /// The metrics in which requests are counted.
    pub metrics: Arc<Metrics>,
    /// Whether people reach the server by https.
    pub https: bool,
    /// Where this resource is described, if it is.
    pub resource_metadata: Option<String>,
}

impl HttpContext {
    /// The context that the configuration describes.
    #[must_use]
    pub fn new(config: &Config, clock: Arc<dyn Clock>, metrics: Arc<Metrics>) -> Self {
        let server = &config.server;
        Self {
            clock,
            trusted_proxies: server.trusted_proxies.iter().copied().map(canonical_network).collect(),
            metrics,
            https: server.public_url.scheme() == "https",
            resource_metadata: config.published().as_ref().map(Published::resource_metadata),
        }
    }
}

/// Puts the middleware around an app, in the order that the head of this file tells.
pub fn wrap<T, B>(
    app: App<T>,
    context: &Arc<HttpContext>,
    cors_origins: &[String],
) -> App<
    impl ServiceFactory<
        ServiceRequest,
        Config = (),
        Response = ServiceResponse<impl MessageBody + use<T, B>>,
        Error = Error,
        InitError = (),
    > + use<T, B>,
>
where
    T: ServiceFactory<ServiceRequest, Config = (), Response = ServiceResponse<B>, Error = Error, InitError = ()>
        + 'static,
    B: MessageBody + 'static,
{
    let counts = Rc::new(RequestCounts::new(Arc::clone(context)));
    let observe = move |request: ServiceRequest, next: Next<EitherBody<EitherBody<B>, B>>| {
        observe(Rc::clone(&counts), request, next)
    };
    // The one added last is the outermost.
    app.wrap(Condition::new(!cors_origins.is_empty(), cors(cors_origins))).wrap(from_fn(observe))
}

/// Counts a request as one under way on its connection, where nothing else is to be done with it.
pub(in crate::http) async fn under_way<B: MessageBody>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<Answering<B>>, Error> {
    let under_way = request.conn_data::<Rc<Activity>>().map(Activity::begin);
    let answer = next.call(request).await?;
    Ok(answer.map_body(|_, body| Answering::new(body, under_way)))
}

async fn observe<B>(
    counts: Rc<RequestCounts>,
    mut request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<Answering<EitherBody<B>>>, Error> {
    let under_way = request.conn_data::<Rc<Activity>>().map(Activity::begin);
    let exchange = Exchange::begin(counts, &request);
    let closes_by_request = request.head().connection_type() != ConnectionType::KeepAlive;
    let answered = if under_way.as_ref().is_some_and(UnderWay::is_too_late) {
        Err(ApiError::Unavailable.into())
    } else if head_length(&request) > MAX_HEAD {
        Err(ApiError::HeadTooLarge.into())
    } else {
        head::as_get(&mut request);
        preflight::leave_to_forward_auth(&mut request);
        catch_panic::call(&next, request, &exchange.identity).await
    };
    let mut answer = answered.map(|response| exchange.finish(response)).map_err(|error| exchange.finish_error(error));
    if closes_by_request && let Ok(response) = &mut answer {
        // The framework goes by the request that it has read last.
        response.response_mut().head_mut().set_connection_type(ConnectionType::Close);
    }
    if let Some(under_way) = &under_way
        && answer.as_mut().map_or(true, closes)
    {
        under_way.close();
    }
    answer.map(|response| response.map_body(|_, body| Answering::new(body, under_way)))
}

/// Whether an answer itself says that it is the last of its connection.
fn closes<B>(response: &mut ServiceResponse<B>) -> bool {
    let head = response.response_mut().head_mut();
    // The framework sets it when it writes; until then it is that of whatever answer had this memory before, and in HTTP/1.0 a
    // connection closes unless somebody says otherwise.
    head.version = Version::HTTP_11;
    head.connection_type() == ConnectionType::Close
}

/// Bytes of the address and the headers, with the separators that HTTP/1.1 puts between them.
fn head_length(request: &ServiceRequest) -> usize {
    let address = request.uri().path_and_query().map_or(0, |text| text.as_str().len());
    let headers = request.headers().iter().map(|(name, value)| name.as_str().len() + value.len() + 4);
    address + headers.sum::<usize>()
}

/// What one worker counts, by labels that it has met.
struct RequestCounts {
    context: Arc<HttpContext>,
    /// Few, and the busiest were met first.
    met: RefCell<Vec<RequestMetrics>>,
    routes: RefCell<Routes>,
}

/// The patterns of routes that requests matched. The framework finds a pattern by matching the path once more, against
/// every route; where a pattern has no variable part it is the path itself, and is remembered.
#[derive(Default)]
struct Routes(Vec<Rc<str>>);

impl Routes {
    fn of(&mut self, request: &HttpRequest) -> Rc<str> {
        if let Some(known) = self.0.iter().find(|known| ***known == *request.path()) {
            return Rc::clone(known);
        }
        let Some(pattern) = request.match_pattern() else { return access_log::NO_ROUTE.into() };
        let pattern: Rc<str> = pattern.into();
        // As many as there are such routes, at most.
        if *pattern == *request.path() && !pattern.contains('{') {
            self.0.push(Rc::clone(&pattern));
        }
        pattern
    }
}

impl RequestCounts {
    fn new(context: Arc<HttpContext>) -> Self {
        Self { context, met: RefCell::default(), routes: RefCell::default() }
    }

    fn count(&self, method: &'static str, route: &str, status: u16, duration: Duration) {
        let mut met = self.met.borrow_mut();
        if let Some(metrics) = met.iter().find(|metrics| metrics.are_of(method, route, status)) {
            return metrics.count(duration);
        }
        let metrics = self.context.metrics.requests_of(method, route.to_owned(), status);
        metrics.count(duration);
        met.push(metrics);
    }
}

/// One request and its answer.
struct Exchange {
    counts: Rc<RequestCounts>,
    /// Of the monotonic clock: a duration must not change when the system's time is set.
    started: Instant,
    method: &'static str,
    identity: RequestIdentity,
    remote: RemoteAddress,
}

impl Exchange {
    fn begin(counts: Rc<RequestCounts>, request: &ServiceRequest) -> Self {
        let started = Instant::now();
        let context = &counts.context;
        let remote = RemoteAddress::of(request, &context.trusted_proxies);
        let inbound = remote.through_proxy.then(|| RequestIdentity::inbound(request.headers())).flatten();
        let identity = inbound.unwrap_or_else(|| RequestIdentity::new(context.clock.now()));
        request.extensions_mut().insert(RequestExtension { remote, identity: identity.clone() });
        Self { counts, started, method: access_log::method_word(request.method()), identity, remote }
    }

    fn finish<B>(&self, response: ServiceResponse<B>) -> ServiceResponse<EitherBody<B>> {
        let (request, response) = response.into_parts();
        let route = self.counts.routes.borrow_mut().of(&request);
        ServiceResponse::new(request, self.complete(response, &route))
    }

    /// An error that left the handlers has lost its request, and with it the route; its connection is not kept.
    fn finish_error(&self, error: Error) -> Error {
        let mut response = self.complete(error.error_response(), access_log::NO_ROUTE);
        response.head_mut().set_connection_type(ConnectionType::Close);
        InternalError::from_response(error, response.map_into_boxed_body()).into()
    }

    fn complete<B>(&self, response: HttpResponse<B>, route: &str) -> HttpResponse<EitherBody<B>> {
        let mut response = problem::complete(response, &self.identity);
        let headers = response.headers_mut();
        headers.insert(X_REQUEST_ID, self.identity.header());
        security_headers::set(headers, self.counts.context.https);
        if let Some(resource_metadata) = &self.counts.context.resource_metadata {
            challenge::complete(headers, resource_metadata);
        }
        self.record(&response, route);
        response
    }

    /// Until the head of the answer: the body may be a stream that lasts for hours.
    fn record<B>(&self, response: &HttpResponse<B>, route: &str) {
        let (status, duration) = (response.status(), self.started.elapsed());
        let (identity, client) = (&self.identity, self.remote.client);
        access_log::write(&access_log::Line { method: self.method, route, status, duration, identity, client });
        self.counts.count(self.method, route, status.as_u16(), duration);
    }
}
