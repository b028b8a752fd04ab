//! sessiond: a stateful session server. A browser holds only an opaque random token; the server holds the session,
//! shows it to its owner, and can end it at any instant.
//!
//! Most people run the program of the same name. This library is for an actix application that keeps its sessions with
//! sessiond: it signs its users in by its own means, its handlers take actix-session's `Session` and actix-identity's
//! `Identity` as always, and every session can be listed, limited and ended at any instant, on every node.
//!
//! # The face
//!
//! | to | use |
//! |---|---|
//! | read the settings | [`Config::from_env`], [`Config::from_pairs`] |
//! | open the stores, and stop in order | [`open`], [`Background::stop`] |
//! | give routes their sessions | [`Service::session_layer`] |
//! | sign in and out | `Identity::login`, `Identity::logout`; [`remember_me`] for a cookie that outlives the browser |
//! | refuse requests that another site forged | [`Origins`] |
//! | find or make a user | [`Service::ensure_user`] |
//! | create an account with an address of its own | [`Service::create_user`] |
//! | list and end sessions | [`Service::sessions`], [`Service::end_session`], [`Service::end_sessions`] |
//!
//! These are the names of this page. All other modules are internal: they are public for the program, the tests and the
//! benchmarks of sessiond itself, and carry no promise of stability.
//!
//! # The minimal program
//!
//! ```no_run
//! use actix_identity::Identity;
//! use actix_session::Session;
//! use actix_web::{App, HttpMessage, HttpRequest, HttpServer, Responder, Result, get, post};
//! use sessiond::{Config, UserId};
//!
//! #[post("/sign-in")]
//! async fn sign_in(request: HttpRequest) -> Result<impl Responder> {
//!     let user = verified(&request)?;
//!     Identity::login(&request.extensions(), user.to_string())?;
//!     Ok("signed in")
//! }
//!
//! #[get("/")]
//! async fn count(session: Session, _user: Identity) -> Result<impl Responder> {
//!     let visits = session.get::<u32>("visits")?.unwrap_or(0) + 1;
//!     session.insert("visits", visits)?;
//!     Ok(format!("visit {visits}"))
//! }
//!
//! #[actix_web::main]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let config = Config::from_env()?;
//!     let (service, background) = sessiond::open(&config).await?;
//!     HttpServer::new(move || App::new().service(sign_in).service(count).wrap(service.session_layer()))
//!         .bind(("127.0.0.1", 8081))?
//!         .run()
//!         .await?;
//!     background.stop().await;
//!     Ok(())
//! }
//!
//! /// Your own sign-in: it verifies the user and knows which account is theirs.
//! fn verified(_request: &HttpRequest) -> Result<UserId> {
//!     Err(actix_web::error::ErrorUnauthorized("not implemented"))
//! }
//! ```
//!
//! # A session's life
//!
//! Accounts, sessions and their end, on an SQLite file of its own:
//!
//! ```
//! use actix_identity::Identity;
//! use actix_web::test::{TestRequest, call_service, init_service};
//! use actix_web::{App, Error, HttpMessage, HttpRequest, web};
//! use sessiond::Config;
//!
//! # #[actix_web::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! # let database = format!("sqlite://{}", folder.path().join("sessions.db").display());
//! let config = Config::from_pairs([("DATABASE_URL", database.as_str())])?;
//! let (service, background) = sessiond::open(&config).await?;
//! let ana = service.create_user("ana@example.org", Some("Ana")).await?;
//!
//! let sign_in = move |request: HttpRequest| async move {
//!     Identity::login(&request.extensions(), ana.to_string())?;
//!     Ok::<_, Error>("signed in")
//! };
//! let who = |user: Identity| async move { Ok::<_, Error>(user.id()?) };
//! let application = App::new().route("/sign-in", web::post().to(sign_in)).route("/who", web::get().to(who));
//! let application = init_service(application.wrap(service.session_layer())).await;
//!
//! let answer = call_service(&application, TestRequest::post().uri("/sign-in").to_request()).await;
//! let cookie = answer.response().cookies().next().expect("a cookie").into_owned();
//! let visit = || TestRequest::get().uri("/who").cookie(cookie.clone()).to_request();
//! assert_eq!(call_service(&application, visit()).await.status(), 200);
//!
//! let sessions = service.sessions(ana).await?;
//! assert_eq!(sessions.len(), 1);
//! service.end_session(ana, sessions[0].id).await?;
//! assert_eq!(call_service(&application, visit()).await.status(), 401);
//!
//! background.stop().await;
//! # Ok(())
//! # }
//! ```
//!
//! # The layers
//!
//! A request passes four layers and returns. Four nouns answer four questions: *which rule?* `domain`.
//! *What happens?* `service`. *What is remembered?* `live` and `ledger`. *Over the wire?* `http`.
//!
//! ```text
//! main ─► cli ─┐
//!              ├► server ─► http ─► service ─► live    ledger    webhook
//!      embed ──┘     │        │         │        │         │        │
//!                    └────────┴─────────┴────────┴─────────┴────────┴──► domain ─► (nothing of ours)
//! ```
//!
//! # Two memories, one authority
//!
//! SQL holds what must never be lost (`ledger`); Redis holds what must be read in microseconds (`live`).
//! Redis may only say yes; only the ledger says no. Without Redis every check reads the ledger, on the same path.
//!
//! # One request's journey
//!
//! sessiond verifies the cookie's signature, hashes the token, and sends one `GETEX`. If the record's stamp is the
//! stamp of the connection it came over, and its owner and both deadlines hold, the record is the answer. Otherwise
//! there is a *fill*: take a lease on the record's key, read the ledger, write the record over that same lease. A
//! revocation ends the row and adds a pending invalidation in one transaction, deletes the record (and with it any
//! lease), reads in SQL that the Redis process it deleted from is the valid one, and only then answers 2xx.

#[doc(inline)]
pub use config::{Config, ConfigError};
#[doc(inline)]
pub use domain::{ActorKind, Device, DeviceKind, SessionId, Timestamp, UserId};
#[doc(inline)]
pub use embed::{Service, open};
#[doc(inline)]
pub use http::{Origins, ServiceError, SessionLayer, remember_me};
#[doc(inline)]
pub use service::{ActorView, Background, SessionView, StartError};

// Internal, without any promise of stability. Documented with `--cfg internals` (docs/contributing.md).
#[cfg_attr(not(internals), doc(hidden))]
pub mod cli;
#[cfg_attr(not(internals), doc(hidden))]
pub mod config;
#[cfg_attr(not(internals), doc(hidden))]
pub mod domain;
mod embed;
mod fault_point;
#[cfg_attr(not(internals), doc(hidden))]
pub mod http;
#[cfg_attr(not(internals), doc(hidden))]
pub mod ledger;
#[cfg_attr(not(internals), doc(hidden))]
pub mod live;
#[cfg_attr(not(internals), doc(hidden))]
pub mod server;
#[cfg_attr(not(internals), doc(hidden))]
pub mod service;
#[cfg_attr(not(internals), doc(hidden))]
pub mod telemetry;
#[cfg_attr(not(internals), doc(hidden))]
pub mod webhook;
