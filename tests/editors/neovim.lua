-- Opens spec.reft in Neovim (0.7 or later), lets its own client speak with `reftc lsp`, and prints what comes of it.
-- Each step begins when the answer to the one before it has come.

local reftc = assert(os.getenv("REFTC"), "REFTC names the binary")
local out = {}

local function say(...)
  table.insert(out, table.concat(vim.tbl_map(tostring, { ... }), " "))
end

local function finish(code)
  io.stdout:write(table.concat(out, "\n") .. "\n")
  io.stdout:flush()
  vim.cmd(code == 0 and "qall!" or "cquit!")
end

-- A server that never answers must not keep the test waiting.
vim.defer_fn(function()
  say("no answer in time")
  finish(1)
end, 60000)

--- Runs a step, and ends with its error if it has one.
local function guarded(step)
  return function(...)
    local arguments = { ... }
    local good, problem = pcall(function() step(unpack(arguments)) end)
    if not good then
      say("error:", problem)
      finish(1)
    end
  end
end

vim.cmd("edit spec.reft")
local buffer = vim.api.nvim_get_current_buf()

local function position(line, column)
  return {
    textDocument = vim.lsp.util.make_text_document_params(buffer),
    position = { line = line - 1, character = column },
  }
end

local function ask(method, params, step)
  vim.lsp.buf_request(buffer, "textDocument/" .. method, params, guarded(function(problem, result)
    assert(not problem, vim.inspect(problem))
    step(result)
  end))
end

local waiting

vim.api.nvim_create_autocmd("DiagnosticChanged", {
  callback = guarded(function()
    local step = waiting
    if step then
      waiting = nil
      step(vim.diagnostic.get(buffer))
    end
  end),
})

--- Waits for the next findings.
local function on_diagnostics(step)
  waiting = step
end

local function formatted()
  ask("formatting", { textDocument = { uri = vim.uri_from_bufnr(buffer) }, options = { tabSize = 2, insertSpaces = true } }, function(edits)
    vim.lsp.util.apply_text_edits(edits, buffer, "utf-16")
    say("formatted:", vim.api.nvim_buf_get_lines(buffer, 11, 12, false)[1])
    finish(0)
  end)
end

local function renamed()
  local params = position(1, 5)
  params.newName = "few"
  ask("rename", params, function(edit)
    vim.lsp.util.apply_workspace_edit(edit, "utf-16")
    local lines = vim.api.nvim_buf_get_lines(buffer, 0, -1, false)
    say("renamed:", lines[1], "and", vim.trim(lines[16]))
    formatted()
  end)
end

local function completed()
  ask("completion", position(20, 4), function(items)
    say("completion:", items[1].label, items[1].detail)
    renamed()
  end)
end

local function hovered()
  ask("hover", position(16, 12), function(hover)
    local lines = vim.split(hover.contents.value, "\n")
    say("hover:", lines[2])
    completed()
  end)
end

local function fixed()
  local edge = { line = 19, character = 4 }
  local params = {
    textDocument = vim.lsp.util.make_text_document_params(buffer),
    range = { start = edge, ["end"] = edge },
    context = { diagnostics = {} },
  }
  ask("codeAction", params, function(actions)
    say("action:", actions[1].title)
    on_diagnostics(function(found)
      say("findings after the fix:", #found)
      hovered()
    end)
    vim.lsp.util.apply_workspace_edit(actions[1].edit, "utf-16")
  end)
end

on_diagnostics(function(found)
  for _, finding in ipairs(found) do
    say("finding:", finding.lnum + 1, finding.code or "", vim.split(finding.message, "\n")[1])
  end
  fixed()
end)

local client = assert(vim.lsp.start_client({ name = "reftc", cmd = { reftc, "lsp" }, root_dir = vim.fn.getcwd() }))
vim.lsp.buf_attach_client(buffer, client)
