//! An application that moves from actix-session to sessiond: examples/moving/actix-session, two processes one after the other.
//!
//! Owns both programs while they run. Must never know more of them than their addresses and what a browser is sent.

use std::error::Error;
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use futures_util::future::join_all;
use reqwest::header::{COOKIE, LOCATION, SET_COOKIE};
use reqwest::redirect::Policy;
use reqwest::{Client, Method, RequestBuilder};
use tempfile::TempDir;

const NEW: &str = "__Host-session";
const OLD: &str = "id";

/// A program, ended when dropped.
struct Program(Child);

impl Program {
    async fn start(path: &str, port: u16, folder: &TempDir) -> Result<Self, Box<dyn Error>> {
        let mut command = Command::new(path);
        let database = format!("sqlite://{}", folder.path().join("sessions.db").display());
        command.env_clear().env("DATABASE_URL", database).env("TAKEN", folder.path().join("taken"));
        command.env("SHOP_KEY", "k".repeat(64)).env("ANAS_PASSWORD", "a password");
        let mut program = Self(command.arg(port.to_string()).stdin(Stdio::null()).current_dir(folder.path()).spawn()?);
        for _ in 0..1_500 {
            if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return Ok(program);
            }
            assert!(program.0.try_wait()?.is_none(), "the program does not start");
            actix_web::rt::time::sleep(Duration::from_millis(20)).await;
        }
        Err("the program does not listen".into())
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ended = self.0.kill().and_then(|()| self.0.wait());
    }
}

/// A browser: what it has of the two cookies.
#[derive(Clone)]
struct Visitor {
    url: String,
    cookies: Vec<(String, String)>,
}

impl Visitor {
    async fn send(&mut self, request: RequestBuilder) -> Result<(u16, String), Box<dyn Error>> {
        let pairs: Vec<_> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let request = if pairs.is_empty() { request } else { request.header(COOKIE, pairs.join("; ")) };
        let answer = request.timeout(Duration::from_secs(20)).send().await?;
        for line in answer.headers().get_all(SET_COOKIE) {
            let (pair, attributes) = line.to_str()?.split_once(';').ok_or("attributes")?;
            let (name, value) = pair.split_once('=').ok_or("a value")?;
            self.cookies.retain(|(known, _)| known != name);
            if !attributes.contains("Max-Age=0") {
                self.cookies.push((name.to_owned(), value.to_owned()));
            }
        }
        let place = answer.headers().get(LOCATION).map(|place| place.to_str().map(str::to_owned)).transpose()?;
        let status = answer.status().as_u16();
        Ok((status, place.unwrap_or(answer.text().await?)))
    }

    async fn ask(&mut self, method: Method, path: &str) -> Result<(u16, String), Box<dyn Error>> {
        let client = Client::builder().no_proxy().redirect(Policy::none()).build()?;
        self.send(client.request(method, format!("{}{path}", self.url))).await
    }

    async fn orders(&mut self) -> Result<u16, Box<dyn Error>> {
        let (status, text) = self.ask(Method::GET, "/orders").await?;
        assert_eq!(status == 200, text == "Ana Silva: a teapot", "{status} {text}");
        Ok(status)
    }

    async fn sign_in(&mut self) -> Result<u16, Box<dyn Error>> {
        let form = "email=ana%40example.org&password=a+password";
        let request = Client::new().post(format!("{}/sign-in", self.url));
        let request = request.header("Content-Type", "application/x-www-form-urlencoded").body(form);
        Ok(self.send(request).await?.0)
    }

    fn has(&self, name: &str) -> bool {
        self.cookies.iter().any(|(known, _)| known == name)
    }
}

/// An old cookie that was taken: the browser is told to forget it, and it opens nothing.
async fn opens_nothing(old: &Visitor) -> Result<(), Box<dyn Error>> {
    let mut again = old.clone();
    assert_eq!(again.ask(Method::GET, "/orders").await?, (307, "/orders".to_owned()));
    assert!(again.cookies.is_empty());
    assert_eq!(again.orders().await?, 401);
    assert_eq!(old.clone().ask(Method::GET, "//other.example/x").await?.1, "/other.example/x", "never another host");
    Ok(())
}

#[actix_web::test]
async fn an_application_moves_and_signs_nobody_out() -> Result<(), Box<dyn Error>> {
    let folder = TempDir::with_prefix("moving-")?;
    let port = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
    let before = Program::start(env!("CARGO_BIN_EXE_moving-before"), port, &folder).await?;
    let mut ana = Visitor { url: format!("http://127.0.0.1:{port}"), cookies: Vec::new() };
    let mut phone = ana.clone();
    for browser in [&mut ana, &mut phone] {
        assert_eq!((browser.sign_in().await?, browser.orders().await?), (204, 200));
        assert!(browser.has(OLD));
    }
    let olds = [ana.clone(), phone.clone()];
    drop(before);

    let after = env!("CARGO_BIN_EXE_moving-after");
    let running = Program::start(after, port, &folder).await?;
    assert_eq!(ana.orders().await?, 200);
    assert!(ana.has(NEW) && !ana.has(OLD), "the old one is forgotten");
    opens_nothing(&olds[0]).await?;
    // Several at once are one session; the others come again with it.
    let many = join_all((0..6).map(|_| async { phone.clone().orders().await })).await;
    let statuses = many.into_iter().collect::<Result<Vec<_>, _>>()?;
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1, "{statuses:?}");
    assert!(statuses.iter().all(|status| [200, 307].contains(status)), "{statuses:?}");
    opens_nothing(&olds[1]).await?;

    // A sign-out holds at once, and for the old cookie, too; also after a restart.
    let mut copy = ana.clone();
    assert_eq!(copy.orders().await?, 200);
    assert_eq!(ana.ask(Method::POST, "/sign-out").await?.0, 204);
    assert_eq!((ana.orders().await?, copy.orders().await?), (401, 401));
    opens_nothing(&olds[0]).await?;
    drop(running);
    let _again = Program::start(after, port, &folder).await?;
    opens_nothing(&olds[0]).await?;
    assert_eq!(copy.orders().await?, 401);
    assert_eq!((ana.sign_in().await?, ana.orders().await?, ana.has(OLD)), (204, 200, false));
    Ok(())
}

#[test]
fn the_page_shows_what_opens_the_old_cookies() {
    let page = include_str!("../../docs/moving/actix-session.md");
    let program = include_str!("../../examples/moving/actix-session/old.rs");
    assert!(page.contains(&format!("```rust\n{program}```")));
}
