//! Renderers of diagnostics: for people (miette), short lines, and JSON lines for tools.
