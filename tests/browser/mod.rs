//! The pages in a real browser: Chromium, driven over WebDriver, against the real server.
//!
//! cargo-nextest runs them one at a time (`.config/nextest.toml`).

mod accessibility;
mod account;
mod acting;
mod application;
mod back_ends;
mod console;
mod console_page;
mod cookie;
mod driver;
mod elsewhere;
mod endings;
mod history;
mod hostile;
mod leaving;
mod looks;
mod module;
mod news;
#[cfg(feature = "postgres")]
mod nodes;
mod page;
mod paths;
mod quality;
mod reset;
mod step_up;
mod subject;
mod tabs;
mod ways_in;
mod window;
