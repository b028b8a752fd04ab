//! The pages in a real browser: Chromium, driven over WebDriver, against the real server.
//!
//! Every test is in the module `browser`: by that name cargo-nextest knows that they run one at a time.

#[cfg(test)]
#[path = "."]
mod browser {
    mod account;
    mod console;
    mod console_page;
    mod cookie;
    mod driver;
    mod hostile;
    mod looks;
    mod page;
    mod paths;
    mod reset;
    mod step_up;
    mod window;
}
#[cfg(test)]
#[path = "../support/mod.rs"]
mod support;
