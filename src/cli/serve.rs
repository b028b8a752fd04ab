//! `sessiond`: serve.
//!
//! Owns what a person reads when the server starts. The serving itself is the server's.

use std::io::Write;

use crate::config::{Config, Database, Settings};
use crate::server::{Parts, Server};

use super::failure::Failure;
use super::output::Output;

/// Serves until it is asked to stop.
pub async fn serve(config: Config, out: &mut Output<impl Write>) -> Result<(), Failure> {
    let greeting = Greeting::of(&config, std::env::args().next());
    let server = Server::build(config, Parts::default()).await?;
    out.line(&format!("sessiond serves {}/ (listening on http://{}).", greeting.public_url, server.address()))?;
    if !server.app().has_users().await? {
        out.line("There is no account yet. Make the first administrator in another terminal:")?;
        out.line(&format!("    {}", greeting.first_admin))?;
    }
    Ok(server.run().await?)
}

/// What the start prints, worked out before the configuration is handed to the server.
struct Greeting {
    public_url: String,
    first_admin: String,
}

impl Greeting {
    fn of(config: &Config, program: Option<String>) -> Self {
        let program = program.unwrap_or_else(|| "sessiond".to_owned());
        let database = elsewhere(&config.database).map(|url| format!(" --database-url {}", quoted(&url)));
        let first_admin =
            format!("{} user add you@example.org --role admin{}", quoted(&program), database.unwrap_or_default());
        Self { public_url: config.public_url(), first_admin }
    }
}

/// The database's address, if the other terminal could not know it: an SQLite file that is not the default.
/// A PostgreSQL address holds a password, so it is left to the environment.
fn elsewhere(database: &Database) -> Option<String> {
    let default = Config::try_from(Settings::default()).map(|config| config.database);
    let is_file = matches!(database, Database::Sqlite { .. });
    (is_file && default.as_ref() != Ok(database)).then(|| database.to_string())
}

/// A word that a shell takes as it stands.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "/._-:@+=%,".contains(c);
    if word.chars().all(plain) { word.to_owned() } else { format!("'{}'", word.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first_admin(database_url: Option<&str>) -> String {
        let settings = Settings { database_url: database_url.map(str::to_owned), ..Settings::default() };
        Greeting::of(&Config::try_from(settings).unwrap(), Some("target/debug/sessiond".to_owned())).first_admin
    }

    #[test]
    fn the_first_administrator_is_one_command_away() {
        let plain = "target/debug/sessiond user add you@example.org --role admin";
        assert_eq!(first_admin(None), plain);
        assert_eq!(
            first_admin(Some("sqlite:///var/lib/s.db")),
            format!("{plain} --database-url sqlite:///var/lib/s.db")
        );
        assert_eq!(first_admin(Some("sqlite://it's.db")), format!(r"{plain} --database-url 'sqlite://it'\''s.db'"));
    }
}
