//! `sessiond`: serve.
//!
//! Owns what a person reads when the server starts. The serving itself is the server's.

use std::io::Write;
use std::path::Path;

use crate::config::{Config, Database, absolute};
use crate::server::{Parts, Server};

use super::failure::Failure;
use super::output::Output;

/// Serves until it is asked to stop.
pub async fn serve(config: Config, out: &mut Output<impl Write>) -> Result<(), Failure> {
    let greeting = Greeting::of(&config, std::env::args().next());
    let server = Server::build(config, Parts::default()).await?;
    let mut said =
        vec![format!("sessiond serves {}/ (listening on http://{}).", greeting.public_url, server.address())];
    // A node that cannot ask now, because its clock is wrong, serves all the same: it says so to all.
    if matches!(server.app().users.has_users().await, Ok(false)) {
        said.push(format!(
            "There is no account yet. Make the first administrator in another terminal{}:",
            greeting.with
        ));
        said.push(format!("    {}", greeting.first_admin));
    }
    // Nobody may be reading it: that keeps nobody from being served.
    let _unread = said.iter().try_for_each(|line| out.line(line));
    Ok(server.run().await?)
}

/// What the start prints, worked out before the configuration is handed to the server.
struct Greeting {
    public_url: String,
    /// What the other terminal needs beside the command.
    with: &'static str,
    first_admin: String,
}

impl Greeting {
    fn of(config: &Config, program: Option<String>) -> Self {
        let program = program.unwrap_or_else(|| "sessiond".to_owned());
        // Found from wherever the other terminal is; a bare name is found as this one was.
        let program = if program.contains('/') { absolute(Path::new(&program)) } else { program };
        let (with, database) = match &config.database {
            Database::Sqlite { path } => {
                ("", format!(" --database-url {}", quoted(&format!("sqlite://{}", absolute(path)))))
            }
            // Its address may hold a password, which is for no command line.
            #[cfg(feature = "postgres")]
            Database::Postgres { .. } => (", with this one's DATABASE_URL in its environment", String::new()),
        };
        let first_admin = format!("{} user add you@example.org --role admin{database}", quoted(&program));
        Self { public_url: config.public_url(), with, first_admin }
    }
}

/// A word that a shell takes as it stands.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "/._-:@+=%,".contains(c);
    if word.chars().all(plain) { word.to_owned() } else { format!("'{}'", word.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Settings;

    fn first_admin(database_url: Option<&str>, program: &str) -> String {
        let settings = Settings { database_url: database_url.map(str::to_owned), ..Settings::default() };
        Greeting::of(&Config::try_from(settings).unwrap(), Some(program.to_owned())).first_admin
    }

    #[test]
    fn the_first_administrator_is_one_command_away_from_wherever_it_is_typed() {
        let here = std::env::current_dir().unwrap().display().to_string();
        let plain = "sessiond user add you@example.org --role admin --database-url";
        assert_eq!(first_admin(None, "sessiond"), format!("{plain} sqlite://{here}/sessiond.db"));
        let of_file = format!("{here}/target/debug/{plain} sqlite:///var/lib/s.db");
        assert_eq!(first_admin(Some("sqlite:///var/lib/s.db"), "target/debug/sessiond"), of_file);
        let quoted = format!(r"{plain} 'sqlite://{here}/it'\''s.db'");
        assert_eq!(first_admin(Some("sqlite://it's.db"), "sessiond"), quoted);
    }
}
