//! Rebuilds when a migration or a page is added: the macros that embed them cannot see a new file by themselves.

fn main() {
    println!("cargo:rerun-if-changed=migrations");
    println!("cargo:rerun-if-changed=static");
}
