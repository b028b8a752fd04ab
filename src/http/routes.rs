//! Every route on one screen, and how a table of routes becomes an actix application.

use std::future::ready;
use std::sync::Arc;

use actix_web::body::MessageBody;
use actix_web::dev::{Handler, ServiceFactory, ServiceRequest, ServiceResponse};
use actix_web::http::header::HeaderValue;
use actix_web::http::{Method, StatusCode};
use actix_web::middleware::{Condition, from_fn};
use actix_web::web::{self, Data, ServiceConfig};
use actix_web::{App, Error, FromRequest, HttpRequest, HttpResponse, Resource, Responder, Route, guard};

use super::access_level::AccessLevel;
use super::forwarded_request::FORWARD;
use super::guard::{CheckLayer, SessionLayer};
use super::problem::{Problem, REAUTHENTICATE};
use super::site::Site;
use super::{
    account, admin, bounce, cors, events, exchange, gateway, go_on, headers, jwks, openapi, operator, pages,
    reauthenticate, service_guard, services, sessions, sign_in, subjects, unknown_query,
};
use crate::domain::Scope;

/// The `Allow` header of a route that takes any method.
const ANY: HeaderValue = HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");

/// The routes, by access level. The two most frequent ones come first: actix tries routes in this order.
#[rustfmt::skip]
pub fn table() -> Vec<Path> {
    vec![
        open(FORWARD).any(gateway::forward).documented(Method::GET),
        account("/me").get(account::me).patch(account::rename).acting(),
        anyone("/session").get(account::session).acting(),

        public("/register").post(sign_in::register),
        public("/login").post(sign_in::login),
        public("/exchange").post(exchange::exchange).knows(&["remember"]),
        public("/logout").post(sign_in::logout),
        public("/reset").post(sign_in::reset).page(pages::reset),

        renewal("/me/password").put(account::change_password),
        renewal(REAUTHENTICATE).post(reauthenticate::reauthenticate),
        account("/sessions").get(sessions::list).delete(sessions::revoke_all).knows(&["include_current", "actor"]),
        account("/sessions/{id}").delete(sessions::revoke),
        background("/events").get(events::open).acting(),

        administrator("/admin/users").get(admin::users::list),
        administrator("/admin/users/{id}").get(admin::users::show).delete(admin::users::delete),
        administrator("/admin/users/{id}/roles").put(admin::users::put_roles),
        administrator("/admin/users/{id}/disable").post(admin::disable),
        administrator("/admin/users/{id}/enable").post(admin::enable),
        administrator("/admin/users/{id}/impersonate").post(admin::impersonate::impersonate),
        administrator("/admin/users/{id}/sessions").get(admin::sessions::of_user).delete(admin::sessions::revoke_of_user),
        administrator("/admin/sessions").get(admin::sessions::find),
        administrator("/admin/sessions/revoke").post(admin::sessions::revoke_matching),
        administrator("/admin/sessions/{id}").delete(admin::sessions::revoke),
        administrator("/admin/alerts").get(admin::alerts::list),
        administrator("/admin/alerts/{id}/acknowledge").post(admin::alerts::acknowledge),
        administrator("/admin/audit").get(admin::audit_log::list),

        service("/issue", Scope::Issue).post(services::issue),
        service("/introspect", Scope::Introspect).post(services::introspect),
        service("/subjects/{subject}/sessions", Scope::Revoke).get(subjects::list).delete(subjects::revoke_all).knows(&["actor"]),
        service("/subjects/{subject}/sessions/{id}", Scope::Revoke).delete(subjects::revoke),
        service("/subjects/{subject}/disable", Scope::Revoke).post(subjects::disable),
        service("/subjects/{subject}/enable", Scope::Revoke).post(subjects::enable),

        // HAProxy asks with OPTIONS.
        open("/health/live").get(operator::live).on(Method::OPTIONS, web::to(operator::live)),
        open("/health/ready").get(operator::ready).on(Method::OPTIONS, web::to(operator::ready)),
        open("/openapi.json").get(openapi::serve),
        open("/.well-known/jwks.json").get(jwks::keys),

        open("/").page(bounce::front),
        open("/bounce").page(bounce::bounce),
        open("/continue").page(go_on::go_on),
        open("/account").page(pages::account),
        open("/console").page(pages::console),
        open("/static/{file}").page(pages::file).shared(),
        open("/auth/forward/{page:.*}").any(gateway::forward).documented(Method::GET),
    ]
}

/// The whole application of one worker.
pub fn application(
    site: Site,
) -> App<
    impl ServiceFactory<
        ServiceRequest,
        Config = (),
        Response = ServiceResponse<impl MessageBody>,
        Error = Error,
        InitError = (),
    >,
> {
    let (answers, ids) = (Arc::clone(&site.headers), Arc::clone(&site.request_ids));
    let layer = |level| SessionLayer::new(&site, level);
    App::new()
        .app_data(Data::new(site.clone()))
        .app_data(Data::new(document()))
        .configure(|service| table().into_iter().for_each(|path| path.mount(service, &site.base_path, &layer)))
        .configure(|service| to_front_page(service, &site.base_path))
        .default_service(web::to(nothing_here))
        .wrap(from_fn(move |request, next| headers::complete(Arc::clone(&answers), ids.next(), request, next)))
}

/// The OpenAPI document of these routes.
pub fn document() -> openapi::Document {
    openapi::Document::new(table().iter().map(|path| (path.path, path.level, path.acting)))
}

/// Redirects the base path itself, as people type it: the pages' addresses are relative to a path with a final slash.
fn to_front_page(service: &mut ServiceConfig, base_path: &str) {
    if !base_path.is_empty() {
        let to = format!("{base_path}/");
        service.route(base_path, web::to(move |request: HttpRequest| ready(with_query(&to, &request))));
    }
}

fn with_query(to: &str, request: &HttpRequest) -> Result<HttpResponse, Problem> {
    let query = request.query_string();
    let to = if query.is_empty() { to.to_owned() } else { format!("{to}?{query}") };
    bounce::sent(StatusCode::TEMPORARY_REDIRECT, &to)
}

async fn nothing_here() -> Result<HttpResponse, Problem> {
    Err(Problem::not_found())
}

/// A route without a session: reads no cookie, or its handler does.
fn open(path: &'static str) -> Path {
    Path::new(path, None)
}

/// A route for everyone that can begin or end a session.
fn public(path: &'static str) -> Path {
    Path::new(path, Some(AccessLevel::Public))
}

/// A route for everyone, with optional authentication.
fn anyone(path: &'static str) -> Path {
    Path::new(path, Some(AccessLevel::Anyone))
}

/// A route for signed-in users.
fn account(path: &'static str) -> Path {
    Path::new(path, Some(AccessLevel::Account))
}

/// A route for signed-in users that a page calls by itself.
fn background(path: &'static str) -> Path {
    Path::new(path, Some(AccessLevel::Background))
}

/// A route for administrators, and for services that may administer.
fn administrator(path: &'static str) -> Path {
    Path::new(path, Some(AccessLevel::Administrator))
}

/// A route for services with this scope.
fn service(path: &'static str, scope: Scope) -> Path {
    Path::new(path, Some(AccessLevel::Service(scope)))
}

/// A route for signed-in users that can give the session a new token.
fn renewal(path: &'static str) -> Path {
    Path::new(path, Some(AccessLevel::Renewal))
}

/// One path with its methods.
pub struct Path {
    path: &'static str,
    level: Option<AccessLevel>,
    methods: Vec<Method>,
    documented: Vec<Method>,
    takes_any: bool,
    shared: bool,
    acting: bool,
    knows: &'static [&'static str],
    routes: Vec<Route>,
}

macro_rules! methods {
    ($($name:ident $method:ident)*) => {
        $(fn $name<F, Args>(self, handler: F) -> Self
        where
            F: Handler<Args>,
            Args: FromRequest + 'static,
            F::Output: Responder + 'static,
        {
            self.documented(Method::$method).on(Method::$method, web::to(handler))
        })*
    };
}

impl Path {
    methods! { get GET post POST put PUT patch PATCH delete DELETE }

    fn new(path: &'static str, level: Option<AccessLevel>) -> Self {
        let (methods, documented, routes) = (Vec::new(), Vec::new(), Vec::new());
        // Administrators' routes are not shared: a hole in another application's page must not reach that far. Those of
        // services are for no page at all.
        let closed = |level| matches!(level, AccessLevel::Administrator | AccessLevel::Service(_));
        let shared = level.is_some_and(|level| !closed(level));
        Self { path, level, methods, documented, takes_any: false, shared, acting: false, knows: &[], routes }
    }

    /// Lets pages of other configured origins call it, as they may call all other session routes.
    fn shared(mut self) -> Self {
        self.shared = true;
        self
    }

    /// Lets sessions read here in which somebody acts for the user. All other routes are closed to them.
    fn acting(mut self) -> Self {
        self.acting = true;
        self
    }

    /// The query parameters of its changing methods; any other parameter is refused there.
    fn knows(mut self, names: &'static [&'static str]) -> Self {
        self.knows = names;
        self
    }

    /// GET of a page for people, not programs: left out of the OpenAPI document.
    fn page<F, Args>(self, handler: F) -> Self
    where
        F: Handler<Args>,
        Args: FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        self.on(Method::GET, web::to(handler))
    }

    /// Every method but TRACE, which is unused.
    fn any<F, Args>(self, handler: F) -> Self
    where
        F: Handler<Args>,
        Args: FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        let mut path = self;
        path.takes_any = true;
        path.routes.push(web::to(handler));
        path
    }

    fn documented(mut self, method: Method) -> Self {
        self.documented.push(method);
        self
    }

    /// HEAD works where GET does; actix leaves the body out.
    fn on(mut self, method: Method, route: Route) -> Self {
        let matching = guard::Any(guard::Method(method.clone()));
        let route = if method == Method::GET {
            self.methods.push(Method::HEAD);
            route.guard(matching.or(guard::Head()))
        } else {
            route.guard(matching)
        };
        self.methods.push(method);
        self.routes.push(route);
        self
    }

    /// The methods and the path that the OpenAPI document must show.
    pub fn operations(&self) -> Vec<(String, String)> {
        self.documented.iter().map(|method| (method.to_string(), self.path.replace(":.*}", "}"))).collect()
    }

    /// Adds the path to an application. Checks methods before the session layer: a wrong method is 405 for everyone,
    /// signed in or not.
    fn mount(self, service: &mut ServiceConfig, base_path: &str, layer: &dyn Fn(AccessLevel) -> SessionLayer) {
        let at = format!("{base_path}{}", self.path);
        let (level, acting) = (self.level, self.acting);
        let (takes_any, methods) = (self.takes_any, self.methods);
        let allow = if takes_any { ANY } else { allow(&methods) };
        let serves = move |method: &Method| if takes_any { *method != Method::TRACE } else { methods.contains(method) };
        let resource = self.routes.into_iter().fold(web::resource(at.as_str()), Resource::route);
        let resource = resource.guard(guard::fn_guard(move |request| serves(&request.head().method)));
        let sharing = Condition::new(self.shared, from_fn(cors::share));
        let knows = self.knows;
        let strict = from_fn(move |request, next| unknown_query::refuse(knows, request, next));
        match level {
            Some(
                level @ (AccessLevel::Anyone
                | AccessLevel::Account
                | AccessLevel::Background
                | AccessLevel::Administrator),
            ) => {
                service.service(resource.wrap(strict).wrap(CheckLayer(layer(level).with_acting(acting))).wrap(sharing))
            }
            Some(AccessLevel::Service(scope)) => {
                let admit = from_fn(move |request, next| service_guard::admit(scope, request, next));
                service.service(resource.wrap(strict).wrap(admit))
            }
            Some(level) => service.service(resource.wrap(strict).wrap(layer(level)).wrap(sharing)),
            None if self.shared => service.service(resource.wrap(sharing)),
            None => service.service(resource),
        };
        let shared = self.shared;
        let refusal = move |request: HttpRequest| {
            let answer = shared.then(|| cors::preflight(&request, &allow)).flatten();
            ready(answer.ok_or_else(|| Problem::method_not_allowed(allow.clone())))
        };
        let sharing = Condition::new(shared, from_fn(cors::share));
        service.service(web::resource(at.as_str()).to(refusal).wrap(sharing));
    }
}

fn allow(methods: &[Method]) -> HeaderValue {
    let names: Vec<_> = methods.iter().map(Method::as_str).collect();
    HeaderValue::from_str(&names.join(", ")).unwrap_or(HeaderValue::from_static(""))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use actix_web::test::{TestRequest, call_service, init_service};
    use serde_json::Value;

    use super::*;

    async fn answer(path: Path, base_path: &str, method: Method, uri: &str) -> ServiceResponse {
        let layer = |_| panic!("no session layer is needed here");
        let app = App::new().configure(|service| path.mount(service, base_path, &layer));
        let app = init_service(app.default_service(web::to(nothing_here))).await;
        call_service(&app, TestRequest::default().method(method).uri(uri).to_request()).await
    }

    fn thing() -> Path {
        open("/thing").get(HttpResponse::Ok).delete(HttpResponse::NoContent)
    }

    #[actix_web::test]
    async fn a_wrong_method_is_told_which_are_right() {
        for method in [Method::POST, Method::OPTIONS, Method::TRACE, Method::from_bytes(b"FOO").unwrap()] {
            let response = answer(thing(), "", method, "/thing").await;
            assert_eq!(response.status(), 405);
            assert_eq!(response.headers().get("allow").unwrap(), "HEAD, GET, DELETE");
            assert_eq!(response.headers().get("content-type").unwrap(), "application/problem+json");
        }
    }

    #[actix_web::test]
    async fn head_works_where_get_does() {
        for (method, status) in [(Method::GET, 200), (Method::HEAD, 200), (Method::DELETE, 204)] {
            assert_eq!(answer(thing(), "", method, "/thing").await.status(), status);
        }
    }

    #[actix_web::test]
    async fn a_path_has_one_spelling_under_its_base() {
        assert_eq!(answer(thing(), "/auth", Method::GET, "/auth/thing").await.status(), 200);
        for uri in ["/thing", "/auth/thing/", "/auth//thing", "//auth/thing", "/auth/Thing"] {
            let response = answer(thing(), "/auth", Method::GET, uri).await;
            assert_eq!(response.status(), 404, "{uri}");
            assert_eq!(response.headers().get("content-type").unwrap(), "application/problem+json");
        }
    }

    #[actix_web::test]
    async fn every_method_reaches_a_gateway_route() {
        for method in ["GET", "HEAD", "POST", "PROPFIND"] {
            let path = open(FORWARD).any(HttpResponse::Ok);
            let method = Method::from_bytes(method.as_bytes()).unwrap();
            assert_eq!(answer(path, "", method, "/auth/forward").await.status(), 200);
        }
        let path = open("/auth/forward").any(HttpResponse::Ok);
        assert_eq!(answer(path, "", Method::TRACE, "/auth/forward").await.status(), 405);
    }

    fn described() -> BTreeSet<(String, String)> {
        let document: Value = document().describe("", "__Host-session");
        let paths = document["paths"].as_object().unwrap();
        let operations = |(path, item): (&String, &Value)| {
            item.as_object().unwrap().keys().map(|method| (method.to_uppercase(), path.clone())).collect::<Vec<_>>()
        };
        paths.iter().flat_map(operations).collect()
    }

    #[test]
    fn what_administrators_do_is_for_administrators_alone() {
        for path in table() {
            let is_theirs = path.level == Some(AccessLevel::Administrator);
            assert_eq!(path.path.starts_with("/admin/"), is_theirs && !path.shared, "{}", path.path);
        }
    }

    #[test]
    fn the_document_and_the_route_table_are_the_same_set() {
        let routes: BTreeSet<_> = table().iter().flat_map(Path::operations).collect();
        assert_eq!(described(), routes);
    }
}
