//! The requirements of others that this product is held to (OWASP ASVS 5.0 and cheat sheets, NIST SP 800-63B-4, HTTP and
//! cookie standards, what befell others), one test for each that is not shown elsewhere. The tables in `docs/asvs`
//! name them all.

#[cfg(test)]
mod csrf;
#[cfg(test)]
mod gateway;
#[cfg(test)]
mod gateways_run;
#[cfg(test)]
mod inputs;
#[cfg(test)]
mod sheets;
#[cfg(test)]
#[path = "../support/mod.rs"]
mod support;
#[cfg(test)]
mod tables;
#[cfg(test)]
#[expect(dead_code, reason = "what tests/api needs and these tests do not")]
#[path = "../api/tools.rs"]
mod tools;
#[cfg(test)]
mod v16;
#[cfg(test)]
mod v3;
#[cfg(test)]
mod v6;
#[cfg(test)]
mod v7;
