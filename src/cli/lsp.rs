//! `reftc lsp`

use super::output::Output;
use crate::lsp::{self, Ending};
use crate::world::RealWorld;
use lsp_server::Connection;
use std::process::ExitCode;
use std::sync::Arc;

/// Serves an editor over stdio until it says `exit`; 1 where it was not asked to shut down before that.
pub fn lsp(world: RealWorld, output: &Output) -> ExitCode {
    let (connection, threads) = Connection::stdio();
    let ending = lsp::serve(connection, Arc::new(world));
    if let (Ending::Shutdown, Err(error)) = (ending, threads.join()) {
        output.note(&format!("the connection to the editor broke: {error}"));
    }
    match ending {
        Ending::Shutdown => ExitCode::SUCCESS,
        Ending::Abandoned => ExitCode::from(1),
    }
}
