//! From a request to the capability that answers it.

use super::workspace::Workspace;
use super::{actions, completion, definition, folding, formatting, hints, hover, references, rename, symbols, tokens};
use lsp_server::{ErrorCode, Request, Response};
use lsp_types::request::{
    CodeActionRequest, Completion, DocumentHighlightRequest, DocumentSymbolRequest, FoldingRangeRequest, Formatting,
    GotoDefinition, HoverRequest, InlayHintRequest, PrepareRenameRequest, References, Rename, Request as Protocol,
    SemanticTokensFullRequest,
};
use lsp_types::{
    CompletionResponse, DocumentSymbolResponse, GotoDefinitionResponse, SemanticTokensResult,
    TextDocumentPositionParams,
};

/// Answers one request; one that the server does not know, or cannot read, with an error.
pub fn answer(workspace: &Workspace, request: Request) -> Response {
    let document = |uri: &lsp_types::Uri| workspace.documents.find(uri);
    let place = |place: &TextDocumentPositionParams| workspace.place(place);
    match request.method.as_str() {
        HoverRequest::METHOD => respond::<HoverRequest>(request, |params| {
            let (document, at) = place(&params.text_document_position_params)?;
            hover::hover(workspace, document, at)
        }),
        Completion::METHOD => respond::<Completion>(request, |params| {
            let (document, at) = place(&params.text_document_position)?;
            Some(CompletionResponse::Array(completion::complete(workspace, document, at)))
        }),
        GotoDefinition::METHOD => respond::<GotoDefinition>(request, |params| {
            let (document, at) = place(&params.text_document_position_params)?;
            definition::definition(workspace, document, at).map(GotoDefinitionResponse::Scalar)
        }),
        References::METHOD => respond::<References>(request, |params| {
            let (document, at) = place(&params.text_document_position)?;
            references::references(workspace, document, at, params.context.include_declaration)
        }),
        DocumentHighlightRequest::METHOD => respond::<DocumentHighlightRequest>(request, |params| {
            let (document, at) = place(&params.text_document_position_params)?;
            references::highlights(workspace, document, at)
        }),
        PrepareRenameRequest::METHOD => respond::<PrepareRenameRequest>(request, |params| {
            let (document, at) = place(&params)?;
            rename::prepare(workspace, document, at)
        }),
        Rename::METHOD => attempt::<Rename>(request, |params| {
            let Some((document, at)) = place(&params.text_document_position) else { return Ok(None) };
            rename::rename(workspace, document, at, &params.new_name).map(Some)
        }),
        Formatting::METHOD => {
            respond::<Formatting>(request, |params| formatting::format(document(&params.text_document.uri)?))
        }
        CodeActionRequest::METHOD => respond::<CodeActionRequest>(request, |params| {
            Some(actions::actions(workspace, document(&params.text_document.uri)?, params.range))
        }),
        DocumentSymbolRequest::METHOD => respond::<DocumentSymbolRequest>(request, |params| {
            Some(DocumentSymbolResponse::Nested(symbols::symbols(document(&params.text_document.uri)?)))
        }),
        SemanticTokensFullRequest::METHOD => respond::<SemanticTokensFullRequest>(request, |params| {
            Some(SemanticTokensResult::Tokens(tokens::tokens(document(&params.text_document.uri)?)))
        }),
        FoldingRangeRequest::METHOD => respond::<FoldingRangeRequest>(request, |params| {
            Some(folding::ranges(document(&params.text_document.uri)?))
        }),
        InlayHintRequest::METHOD => respond::<InlayHintRequest>(request, |params| {
            Some(hints::hints(workspace, document(&params.text_document.uri)?, params.range))
        }),
        _ => {
            let text = format!("reftc has no answer to `{}`", request.method);
            Response::new_err(request.id, ErrorCode::MethodNotFound as i32, text)
        }
    }
}

fn respond<R: Protocol>(request: Request, answer: impl FnOnce(R::Params) -> R::Result) -> Response {
    attempt::<R>(request, |params| Ok(answer(params)))
}

/// As [`respond`], for what may be refused; the sentence is shown to the user.
fn attempt<R: Protocol>(request: Request, answer: impl FnOnce(R::Params) -> Result<R::Result, String>) -> Response {
    match serde_json::from_value(request.params).map(answer) {
        Ok(Ok(result)) => Response::new_ok(request.id, result),
        Ok(Err(reason)) => Response::new_err(request.id, ErrorCode::RequestFailed as i32, reason),
        Err(error) => {
            let text = format!("cannot read the parameters of `{}`: {error}", request.method);
            Response::new_err(request.id, ErrorCode::InvalidParams as i32, text)
        }
    }
}
