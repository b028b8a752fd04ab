//! An application of somebody else that embeds sessiond, with nothing of it but the names of its crate root.
//!
//! Owns the proof that these names are enough: to make accounts, sign in and out, list sessions and end them. Must never
//! name a module of sessiond; what is wrong inside is found by its own tests.

#[cfg(test)]
mod application;
#[cfg(test)]
mod browser;
#[cfg(test)]
mod moving;
#[cfg(test)]
mod whole;

#[cfg(test)]
mod tests {
    use std::error::Error;

    use futures_util::future::join_all;
    use sessiond::{Background, Config, Service, ServiceError, UserId};
    use tempfile::TempDir;

    use crate::application::Application;
    use crate::browser::Browser;

    const OUR_PAGE: &str = "https://shop.example.org";
    const EVIL_PAGE: &str = "https://evil.example";

    /// A program that embeds sessiond, with its database in a folder of its own.
    struct Program {
        service: Service,
        background: Background,
        application: Application,
        _folder: TempDir,
    }

    impl Program {
        async fn start() -> Result<Self, Box<dyn Error>> {
            let folder = TempDir::with_prefix("outside-")?;
            let database = format!("sqlite://{}", folder.path().join("sessions.db").display());
            let config = Config::from_pairs([("DATABASE_URL", database.as_str()), ("SESSIOND_ORIGIN", OUR_PAGE)])?;
            let (service, background) = sessiond::open(&config).await?;
            let application = Application::start(&service, &config)?;
            Ok(Self { service, background, application, _folder: folder })
        }

        async fn ana(&self) -> Result<UserId, ServiceError> {
            self.service.create_user("ana@example.org", Some("Ana")).await
        }

        async fn signed_in(&self, user: UserId) -> Result<Browser, Box<dyn Error>> {
            let mut browser = Browser::at(&self.application.url);
            let answer = browser.post(&format!("/sign-in/{user}"), OUR_PAGE).await?;
            assert_eq!(answer.status, 204, "{}", answer.text);
            Ok(browser)
        }

        async fn stop(self) {
            self.application.stop().await;
            self.background.stop().await;
        }
    }

    #[actix_web::test]
    async fn a_session_lives_until_the_service_ends_it() -> Result<(), Box<dyn Error>> {
        let program = Program::start().await?;
        let ana = program.ana().await?;
        let mut visitor = Browser::at(&program.application.url);
        assert_eq!(visitor.get("/").await?.status, 401);
        assert_eq!(visitor.get("/who-am-i").await?.text, "nobody");

        let signed_in = visitor.post(&format!("/sign-in/{ana}"), OUR_PAGE).await?;
        let cookie = signed_in.set_cookie().ok_or("a cookie")?;
        for part in ["__Host-session=", "HttpOnly", "SameSite=Strict", "Secure"] {
            assert!(cookie.contains(part), "{cookie}");
        }
        assert!(!cookie.contains("Max-Age"), "it goes with the browser: {cookie}");
        assert_eq!(visitor.get("/").await?.text, "1");
        assert_eq!(visitor.get("/").await?.text, "2");
        assert_eq!(visitor.get("/who-am-i").await?.text, ana.to_string());

        let mut laptop = program.signed_in(ana).await?;
        let listed = program.service.sessions(ana).await?;
        assert_eq!(listed.len(), 2);
        assert!(listed.iter().all(|session| !session.current), "no request asks");
        let shown = visitor.get("/sessions").await?.text;
        assert_eq!(shown.matches(r#""current":true"#).count(), 1, "the session of the request is marked: {shown}");

        let first = listed.iter().map(|session| session.id).min().ok_or("the older session")?;
        assert!(program.service.end_session(ana, first).await?);
        assert_eq!(visitor.get("/").await?.status, 401);
        assert_eq!(visitor.get("/who-am-i").await?.text, "nobody");
        assert_eq!(laptop.get("/").await?.text, "1", "the other session lives");

        assert_eq!(program.service.end_sessions(ana).await?, 1);
        assert_eq!(laptop.get("/").await?.status, 401);
        assert!(program.service.sessions(ana).await?.is_empty());
        program.stop().await;
        Ok(())
    }

    #[actix_web::test]
    async fn signing_out_ends_the_session_and_takes_the_cookie_away() -> Result<(), Box<dyn Error>> {
        let program = Program::start().await?;
        let mut browser = program.signed_in(program.ana().await?).await?;
        let mut copy = browser.copy();
        assert_eq!(copy.get("/").await?.status, 200);
        assert_eq!(browser.post("/sign-out", OUR_PAGE).await?.status, 204);
        assert!(!browser.has_cookie());
        assert_eq!(browser.get("/").await?.status, 401);
        assert_eq!(copy.get("/").await?.status, 401, "the token is dead, not only gone");
        program.stop().await;
        Ok(())
    }

    #[actix_web::test]
    async fn a_remembered_session_outlives_the_browser() -> Result<(), Box<dyn Error>> {
        let program = Program::start().await?;
        let ana = program.ana().await?;
        let mut browser = Browser::at(&program.application.url);
        let answer = browser.post(&format!("/sign-in/{ana}/remembered"), OUR_PAGE).await?;
        assert!(answer.set_cookie().is_some_and(|line| line.contains("Max-Age=")));
        assert!(program.service.sessions(ana).await?.iter().all(|session| session.remember));
        program.stop().await;
        Ok(())
    }

    #[actix_web::test]
    async fn another_sites_page_can_do_nothing() -> Result<(), Box<dyn Error>> {
        let program = Program::start().await?;
        let mut browser = program.signed_in(program.ana().await?).await?;
        assert_eq!(browser.post("/sign-out", EVIL_PAGE).await?.status, 403);
        assert_eq!(browser.get("/").await?.status, 200);
        program.stop().await;
        Ok(())
    }

    #[actix_web::test]
    async fn one_call_finds_or_makes_a_user_also_twice_at_once() -> Result<(), Box<dyn Error>> {
        let program = Program::start().await?;
        let service = &program.service;
        let ensure = |email: Option<&'static str>| service.ensure_user("shop-4711", email, Some("Ana"));
        let ana = "ana@example.org";
        let all = join_all([Some(ana), None, Some("a@example.org"), Some(ana)].map(ensure)).await;
        let all = all.into_iter().collect::<Result<Vec<_>, _>>()?;
        let first = *all.first().ok_or("a user")?;
        assert!(all.iter().all(|user| *user == first), "one user: {all:?}");
        assert_ne!(service.ensure_user("shop-4712", Some(ana), None).await?, first, "the address names nobody");
        // An account with that address is another user, before and after.
        let account = program.ana().await?;
        assert_ne!(account, first);
        assert_eq!(ensure(Some(ana)).await?, first);

        let mut browser = program.signed_in(first).await?;
        assert_eq!(browser.get("/who-am-i").await?.text, first.to_string());
        assert_eq!(service.end_sessions(first).await?, 1);
        assert_eq!(browser.get("/").await?.status, 401);

        for key in ["", " a", "a\0b", "x".repeat(256).as_str()] {
            assert!(matches!(service.ensure_user(key, None, None).await, Err(ServiceError::InvalidKey(_))), "{key:?}");
        }
        let address = service.ensure_user("shop-1", Some("no address"), None).await;
        assert!(matches!(address, Err(ServiceError::InvalidEmail(_))));
        let name = service.ensure_user("shop-1", None, Some("\u{7}")).await;
        assert!(matches!(name, Err(ServiceError::InvalidName(_))));
        program.stop().await;
        Ok(())
    }

    #[actix_web::test]
    async fn accounts_and_sessions_of_others_are_out_of_reach() -> Result<(), Box<dyn Error>> {
        let program = Program::start().await?;
        let service = &program.service;
        let (ana, eve) = (program.ana().await?, service.create_user("eve@example.org", None).await?);
        assert_eq!(program.ana().await, Err(ServiceError::EmailTaken));
        assert!(matches!(service.create_user("no address", None).await, Err(ServiceError::InvalidEmail(_))));
        assert!(matches!(service.create_user("o@example.org", Some("\u{7}")).await, Err(ServiceError::InvalidName(_))));

        let mut browser = program.signed_in(ana).await?;
        let session = service.sessions(ana).await?.first().ok_or("a session")?.id;
        assert!(!service.end_session(eve, session).await?, "it is not hers");
        assert_eq!(browser.get("/").await?.status, 200);
        program.stop().await;
        Ok(())
    }

    /// The example in the documentation of the crate is compiled; the page shows the same.
    #[test]
    fn the_page_shows_the_program_of_the_crates_documentation() {
        let program = |text: &str, begin: &str| {
            let (_, rest) = text.split_once(begin).expect("a program");
            rest.split_once("```").expect("its end").0.to_owned()
        };
        let library = include_str!("../../src/lib.rs").lines().filter_map(|line| line.strip_prefix("//!"));
        let library: String = library.map(|line| format!("{}\n", line.strip_prefix(' ').unwrap_or(line))).collect();
        let page = include_str!("../../docs/embedding.md");
        assert_eq!(program(page, "```rust\n"), program(&library, "```no_run\n"));
    }
}
