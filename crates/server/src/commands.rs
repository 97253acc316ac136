//! What each subcommand does.

mod users;

use std::{
    io::{self, Write},
    path::Path,
};

use repartee_local_models::fetch_models;

use self::users::PasswordSource;
use crate::{
    StartError,
    cli::{Command, Migration},
    database, logging,
    serve::serve,
    settings::{Settings, Sources},
};

/// Carries out a command.
pub async fn run(command: Command) -> Result<(), StartError> {
    if command == Command::Openapi {
        let document = repartee_api::openapi().to_pretty_json();
        return print(&document.map_err(|error| StartError::Settings(error.to_string()))?);
    }
    let sources = Sources::read(Path::new("."))?;
    let settings = Settings::load(&sources)?;
    match command {
        Command::Openapi => Ok(()),
        Command::Config => print(&settings.render_masked()),
        Command::FetchModels => {
            let folder = settings.models_dir;
            let mut out = io::stderr();
            fetch_models(&folder, |event| {
                // A terminal that has gone away does not stop the fetching.
                let _ = writeln!(out, "{event}");
            })?;
            Ok(())
        }
        Command::Serve => {
            start_logging(&settings)?;
            serve(&settings).await
        }
        Command::Migrate { direction } => {
            start_logging(&settings)?;
            migrate(&settings, direction).await
        }
        Command::CreateAdmin { email, password_stdin } => {
            let from_environment = sources.admin_password();
            let source = PasswordSource { is_on_stdin: password_stdin, from_environment };
            users::create_admin(&settings, &email, source).await
        }
        Command::ImportUsers { file } => users::import(&settings, &file).await,
    }
}

fn start_logging(settings: &Settings) -> Result<(), StartError> {
    logging::init(&settings.log).map_err(|error| StartError::Settings(error.to_string()))
}

async fn migrate(settings: &Settings, direction: Migration) -> Result<(), StartError> {
    let database = database::connect(settings).await?;
    let done = match direction {
        Migration::Up => database.migrate_up().await,
        Migration::Down => database.migrate_down(1).await,
        Migration::Status => Ok(()),
    };
    done.map_err(StartError::Database)?;
    let migrations = database.migration_status().await.map_err(StartError::Database)?;
    let lines: Vec<_> = migrations
        .iter()
        .map(|m| format!("{} {}", if m.is_applied { "applied" } else { "pending" }, m.name))
        .collect();
    database.close().await?;
    print(&lines.join("\n"))
}

fn print(text: &str) -> Result<(), StartError> {
    let mut out = io::stdout().lock();
    writeln!(out, "{}", text.trim_end()).map_err(StartError::Io)
}
