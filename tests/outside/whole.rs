//! The whole program of docs/embedding.md, as a process of its own.
//!
//! Owns that what the page shows is what runs here. Must never know more of it than its address.

use std::error::Error;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use futures_util::future::join;
use reqwest::Client;
use reqwest::header::{COOKIE, ORIGIN, SET_COOKIE};
use tempfile::TempDir;

const OUR_PAGE: &str = "https://shop.example.org";
const EVIL_PAGE: &str = "https://evil.example";

/// The program, ended when dropped.
struct Program {
    child: Child,
    url: String,
    _folder: TempDir,
}

impl Program {
    fn start() -> Result<Self, Box<dyn Error>> {
        let folder = TempDir::with_prefix("outside-")?;
        let database = format!("sqlite://{}", folder.path().join("sessions.db").display());
        let mut command = Command::new(env!("CARGO_BIN_EXE_program"));
        command.env_clear().env("DATABASE_URL", database).env("SESSIOND_ORIGIN", OUR_PAGE).env("LISTEN", "127.0.0.1:0");
        let mut child = command.current_dir(folder.path()).stderr(Stdio::piped()).spawn()?;
        let mut log = BufReader::new(child.stderr.take().ok_or("a log")?).lines();
        let said = log.find_map(|line| line.ok()?.split_once("listening on [").map(|(_, rest)| rest.to_owned()));
        // It must not stop at a full pipe.
        std::thread::spawn(move || log.for_each(drop));
        let address = said.ok_or("it does not say where it listens")?;
        Ok(Self { child, url: format!("http://{}", address.trim_end_matches(']')), _folder: folder })
    }

    /// The status and the cookie of a sign-in from this page.
    async fn sign_in(&self, password: &str, origin: &str) -> Result<(u16, Option<String>), Box<dyn Error>> {
        let form = format!("email=ana%40example.org&password={}", password.replace(' ', "+"));
        let request = Client::new().post(format!("{}/sign-in", self.url)).header(ORIGIN, origin);
        let request = request.header("Content-Type", "application/x-www-form-urlencoded").body(form);
        let answer = request.timeout(Duration::from_secs(20)).send().await?;
        let line = answer.headers().get(SET_COOKIE).and_then(|line| line.to_str().ok());
        let cookie = line.and_then(|line| line.split_once(';')).map(|(cookie, _)| cookie.to_owned());
        Ok((answer.status().as_u16(), cookie))
    }

    async fn home(&self, cookie: &str) -> Result<(u16, String), Box<dyn Error>> {
        let answer = Client::new().get(&self.url).header(COOKIE, cookie).send().await?;
        Ok((answer.status().as_u16(), answer.text().await?))
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ended = self.child.kill().and_then(|()| self.child.wait());
    }
}

#[actix_web::test]
async fn the_whole_program_of_the_page_signs_its_users_in() -> Result<(), Box<dyn Error>> {
    let program = Program::start()?;
    let password = "correct horse battery staple";
    assert_eq!(program.sign_in("guess", OUR_PAGE).await?.0, 401);
    assert_eq!(program.sign_in(password, EVIL_PAGE).await?.0, 403);
    // Two sign-ins at once, and one later, are three sessions of one user.
    let (first, second) = join(program.sign_in(password, OUR_PAGE), program.sign_in(password, OUR_PAGE)).await;
    let third = program.sign_in(password, OUR_PAGE).await?;
    let mut homes = Vec::new();
    for (status, cookie) in [first?, second?, third.clone()] {
        assert_eq!(status, 204);
        homes.push(program.home(&cookie.ok_or("a cookie")?).await?);
    }
    assert!(homes.iter().all(|home| home.0 == 200 && home == &homes[0]), "{homes:?}");
    let cookie = third.1.ok_or("a cookie")?;
    let out = Client::new().post(format!("{}/sign-out", program.url)).header(COOKIE, &cookie).header(ORIGIN, OUR_PAGE);
    assert_eq!(out.send().await?.status().as_u16(), 204);
    assert_eq!(program.home(&cookie).await?.0, 401);
    Ok(())
}

#[test]
fn the_page_shows_the_whole_program() {
    let (_, program) = include_str!("program.rs").split_once("\n\n").expect("the first line says what it is");
    assert!(include_str!("../../docs/embedding.md").contains(&format!("```rust\n{program}```")));
}
