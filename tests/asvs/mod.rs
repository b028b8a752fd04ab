//! The requirements of others that this product is held to (OWASP ASVS 5.0 and cheat sheets, NIST SP 800-63B-4, HTTP and
//! cookie standards, what befell others), one test for each that is not shown elsewhere. The tables in `docs/asvs`
//! name them all.

mod csrf;
mod gateway;
mod gateways_run;
mod inputs;
mod sheets;
mod tables;
mod v16;
mod v3;
mod v6;
mod v7;
