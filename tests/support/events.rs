//! A page that listens: the events of one stream, as a browser's `EventSource` would read them.
//!
//! Owns the connection and what came over it and was not asked for yet. Must never come again by itself: a stream that
//! ends has ended.

use std::collections::VecDeque;
use std::time::Duration;

use reqwest::header::{ACCEPT, COOKIE};
use serde_json::Value;

use super::requests::{Requests, Response};

const PATIENCE: Duration = Duration::from_secs(20);

/// One event.
#[derive(Clone, Debug, PartialEq)]
pub struct Told {
    /// Its name.
    pub event: String,
    /// Its data.
    pub data: Value,
}

/// An open stream.
pub struct Events {
    answer: reqwest::Response,
    text: String,
    told: VecDeque<Told>,
    /// How soon it wants to be asked again, in milliseconds.
    pub retry: Option<String>,
}

impl Events {
    /// `GET /events`; panics when it is refused, or does not begin with whose it is.
    pub async fn of(who: &impl Requests) -> Self {
        let mut events = Self::try_of(who).await.unwrap_or_else(|refusal| panic!("no events: {refusal}"));
        let first = events.next().await.expect("a first event");
        assert_eq!(first.event, "session", "{first:?}");
        events
    }

    /// `GET /events`, before anything was read; a refusal is an error.
    pub async fn try_of(who: &impl Requests) -> Result<Self, Response> {
        let browser = who.browser();
        let http = reqwest::Client::builder().no_proxy().connect_timeout(PATIENCE).build().expect("a client");
        let mut request = http.get(format!("{}/events", browser.base())).header(ACCEPT, "text/event-stream");
        if let Some(cookies) = browser.cookie_header() {
            request = request.header(COOKIE, cookies);
        }
        let answer = request.send().await.expect("an answer");
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        if status != 200 {
            return Err(Response { status, headers, body: answer.bytes().await.expect("a body").to_vec() });
        }
        let told = VecDeque::new();
        Ok(Self { answer, text: String::new(), told, retry: None })
    }

    /// A header of the answer.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.answer.headers().get(name)?.to_str().ok()
    }

    /// The next event; none when the server has closed the stream. Panics when nothing comes.
    pub async fn next(&mut self) -> Option<Told> {
        self.next_within(PATIENCE).await.unwrap_or_else(|| panic!("nothing was told within {PATIENCE:?}"))
    }

    /// The same; none when nothing comes for so long.
    pub async fn next_within(&mut self, patience: Duration) -> Option<Option<Told>> {
        tokio::time::timeout(patience, self.read()).await.ok()
    }

    /// The next event that is no heartbeat. Panics when nothing else comes.
    pub async fn news(&mut self) -> Option<Told> {
        let news = tokio::time::timeout(PATIENCE, async {
            loop {
                match self.read().await {
                    Some(told) if told.event == "heartbeat" => {}
                    other => return other,
                }
            }
        });
        news.await.unwrap_or_else(|_| panic!("nothing but heartbeats was told within {PATIENCE:?}"))
    }

    /// The reason with which it ends; panics when it ends without one, or goes on after it. Changes of the list before
    /// the end are passed over.
    pub async fn ending(&mut self) -> String {
        loop {
            let told = self.news().await.expect("an end with a reason");
            if told.event == "session-ended" {
                assert_eq!(self.next().await, None, "nothing comes after the end");
                return told.data["reason"].as_str().expect("a reason").to_owned();
            }
            assert_eq!(told.event, "sessions-changed");
        }
    }

    /// Panics unless nothing but heartbeats comes for so long.
    pub async fn assert_silent(&mut self, how_long: Duration) {
        while let Some(told) = self.next_within(how_long).await {
            assert!(told.as_ref().is_some_and(|told| told.event == "heartbeat"), "{told:?}");
        }
    }

    async fn read(&mut self) -> Option<Told> {
        loop {
            if let Some(told) = self.told.pop_front() {
                return Some(told);
            }
            let chunk = self.answer.chunk().await.ok()??;
            self.text.push_str(std::str::from_utf8(&chunk).expect("UTF-8"));
            while let Some((block, rest)) = self.text.split_once("\n\n") {
                let (block, rest) = (block.to_owned(), rest.to_owned());
                self.text = rest;
                self.take(&block);
            }
        }
    }

    fn take(&mut self, block: &str) {
        let field = |name: &str| block.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        if let Some(retry) = field("retry") {
            self.retry = Some(retry.to_owned());
        }
        if let Some(event) = field("event") {
            let data = serde_json::from_str(field("data").expect("data")).expect("JSON");
            self.told.push_back(Told { event: event.to_owned(), data });
        }
    }
}
