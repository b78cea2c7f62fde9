//! A question that is a query to PostgreSQL, without TLS. Each time on a fresh connection, which is closed with the answer.

use std::error::Error as _;
use std::fmt;
use std::io;

use tokio_postgres::{Config, NoTls, SimpleQueryMessage};

use crate::probe::connect_words;
use crate::server::{Expected, Server};

/// A query and the result that is expected.
#[derive(Debug, Clone, Default)]
pub struct PostgresQuestion {
    /// Who is asked; `postgres` asks if no user is given.
    pub server: Server,
    /// The query.
    pub query: String,
    /// What is expected of the result; an error is never good.
    pub expected: Expected,
}

impl fmt::Display for PostgresQuestion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} on {}", self.query.trim(), self.server)
    }
}

/// Asks once.
pub(crate) async fn ask(question: &PostgresQuestion) -> (bool, String) {
    match result(question).await {
        Ok(messages) => question.expected.judge(words(&messages)),
        Err(error) => (false, error_words(&error)),
    }
}

async fn result(question: &PostgresQuestion) -> Result<Vec<SimpleQueryMessage>, tokio_postgres::Error> {
    let Server { host, port, user, password, database } = &question.server;
    let mut config = Config::new();
    config.host(host).port(*port).user(user.as_deref().unwrap_or("postgres")).application_name("murphy");
    if let Some(password) = password {
        config.password(password);
    }
    if let Some(database) = database {
        config.dbname(database);
    }
    let (client, connection) = config.connect(NoTls).await?;
    // The connection works for the client until the client has its answer, and goes with it.
    tokio::pin!(connection);
    let asked = client.simple_query(&question.query);
    tokio::pin!(asked);
    tokio::select! {
        answer = &mut asked => answer,
        ended = &mut connection => {
            ended?;
            asked.await
        }
    }
}

/// A result as `psql -tA` writes it: a line for each row, `|` between columns; `nil` where nothing is.
fn words(messages: &[SimpleQueryMessage]) -> String {
    let mut lines = Vec::new();
    for message in messages {
        if let SimpleQueryMessage::Row(row) = message {
            let cells: Vec<&str> = (0..row.len()).map(|at| row.get(at).unwrap_or("nil")).collect();
            lines.push(cells.join("|"));
        }
    }
    if lines.is_empty() { "nil".to_owned() } else { lines.join("\n") }
}

fn error_words(error: &tokio_postgres::Error) -> String {
    if let Some(said) = error.as_db_error() {
        return format!("{} {}: {}", said.severity(), said.code().code(), said.message());
    }
    match error.source() {
        Some(source) => match source.downcast_ref::<io::Error>() {
            Some(error) => connect_words(error),
            None => source.to_string(),
        },
        None if error.is_closed() => "closed without an answer".to_owned(),
        None => error.to_string(),
    }
}
