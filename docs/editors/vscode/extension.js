// Starts `reftc lsp` for specs.

const vscode = require("vscode");
const { LanguageClient } = require("vscode-languageclient/node");

let client;

function activate() {
  const command = vscode.workspace.getConfiguration("reftc").get("path", "reftc");
  const server = { command, args: ["lsp"] };
  client = new LanguageClient("reftc", "reftc", server, { documentSelector: [{ language: "reft" }] });
  return client.start();
}

function deactivate() {
  return client?.stop();
}

module.exports = { activate, deactivate };
