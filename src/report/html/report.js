"use strict";
(() => {
  const element = (name, properties = {}, ...children) => {
    const made = Object.assign(document.createElement(name), properties);
    made.append(...children);
    return made;
  };
  const byId = (id) => document.getElementById(id);

  // Plots: the nearest point shows its values, by pointer or by the arrow keys.
  for (const figure of document.querySelectorAll("figure.plot")) {
    const points = JSON.parse(figure.querySelector("script").textContent);
    const svg = figure.querySelector("svg");
    const cursor = figure.querySelector(".cursor");
    const tip = figure.querySelector(".tip");
    let shown = -1;
    const hide = () => {
      cursor.replaceChildren();
      tip.hidden = true;
    };
    const show = (at) => {
      shown = at;
      const [x, y, label] = points[at];
      const drawn = document.createElementNS("http://www.w3.org/2000/svg", "circle");
      drawn.setAttribute("cx", x);
      drawn.setAttribute("cy", y);
      drawn.setAttribute("r", 5);
      cursor.replaceChildren(drawn);
      tip.textContent = label;
      tip.hidden = false;
      const box = svg.getBoundingClientRect();
      const around = figure.getBoundingClientRect();
      const scale = box.width / svg.viewBox.baseVal.width;
      const left = box.left - around.left + x * scale;
      const top = box.top - around.top + y * scale;
      const room = around.width - tip.offsetWidth - 4;
      tip.style.left = `${Math.max(4, Math.min(room, left - tip.offsetWidth / 2))}px`;
      tip.style.top = `${top > tip.offsetHeight + 14 ? top - tip.offsetHeight - 12 : top + 14}px`;
    };
    svg.addEventListener("pointermove", (event) => {
      const box = svg.getBoundingClientRect();
      const scale = box.width / svg.viewBox.baseVal.width;
      const [x, y] = [(event.clientX - box.left) / scale, (event.clientY - box.top) / scale];
      // Along a line the step counts for more than the height.
      const distance = ([left, top]) => 9 * (left - x) ** 2 + (top - y) ** 2;
      let best = -1;
      points.forEach((point, at) => {
        if (best < 0 || distance(point) < distance(points[best])) best = at;
      });
      if (best >= 0) show(best);
    });
    svg.addEventListener("pointerleave", hide);
    svg.addEventListener("blur", hide);
    svg.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1, PageDown: 10, PageUp: -10 }[event.key];
      if (event.key === "Escape") hide();
      if (!step || points.length === 0) return;
      event.preventDefault();
      show(Math.max(0, Math.min(points.length - 1, shown + step)));
    });
  }

  // Rows: all of them are data, a page of them is drawn. What is shown is written into the address, so that it can be passed on.
  const holder = byId("rows");
  if (holder) {
    const { texts, views } = JSON.parse(holder.textContent);
    const PAGE = 12;
    const lower = texts.map((text) => text.toLowerCase());
    const state = { run: "", eval: "", show: "all", search: "", page: 1 };
    const runs = [...new Set(views.map((view) => view.run))];
    const is = {
      all: () => true,
      fixed: ([, , , before, after]) => before && after && !before.correct && after.correct,
      broken: ([, , , before, after]) => before && after && before.correct && !after.correct,
      right: ([, , , , after]) => after && after.correct,
      wrong: ([, , , , after]) => after && !after.correct,
      lower: ([, , , before, after]) => before && after && after.loss < before.loss,
      higher: ([, , , before, after]) => before && after && after.loss > before.loss,
    };
    const kinds = (view) => {
      if (view.kind === "losses") return view.paired ? ["all", "lower", "higher"] : ["all"];
      return view.paired ? ["all", "fixed", "broken", "right", "wrong"] : ["all", "right", "wrong"];
    };

    const read = () => {
      const parts = new URLSearchParams(location.hash.includes("=") ? location.hash.slice(1) : "");
      state.run = runs.includes(parts.get("run")) ? parts.get("run") : runs[0];
      const own = views.filter((view) => view.run === state.run);
      const view = own.find((candidate) => candidate.eval === parts.get("eval")) ?? own[0];
      state.eval = view.eval;
      state.show = kinds(view).includes(parts.get("show")) ? parts.get("show") : "all";
      state.search = parts.get("search") ?? "";
      state.page = Math.max(1, Number.parseInt(parts.get("page") ?? "1", 10) || 1);
      return [...parts.keys()].length > 0;
    };
    const write = () => {
      const parts = new URLSearchParams();
      if (runs.length > 1) parts.set("run", state.run);
      parts.set("eval", state.eval);
      if (state.show !== "all") parts.set("show", state.show);
      if (state.search) parts.set("search", state.search);
      if (state.page > 1) parts.set("page", state.page);
      history.replaceState(null, "", `#${parts}`);
    };
    const change = (changes) => {
      Object.assign(state, { page: 1 }, changes);
      write();
      read();
      draw();
    };

    /// Text in which what was searched for stands out.
    const marked = (text) => {
      const box = element("div", { className: "text", tabIndex: -1 });
      if (text.trim() === "") {
        box.classList.add("empty");
        box.textContent = text === "" ? "empty" : "white space";
        return box;
      }
      const wanted = state.search.toLowerCase();
      const whole = text.toLowerCase();
      // Where the lower case has another length, places do not fit.
      if (!wanted || whole.length !== text.length) {
        box.textContent = text;
        return box;
      }
      let at = 0;
      for (let found = whole.indexOf(wanted); found >= 0; found = whole.indexOf(wanted, at)) {
        box.append(text.slice(at, found), element("mark", { textContent: text.slice(found, found + wanted.length) }));
        at = found + wanted.length;
      }
      box.append(text.slice(at));
      return box;
    };
    const output = (view, shown, title) => {
      const cell = element("td");
      cell.dataset.title = title;
      if (!shown) {
        cell.textContent = "–";
        return cell;
      }
      if (view.kind === "losses") {
        const loss = shown.loss;
        cell.append(loss === undefined ? "–" : `loss ${loss.toFixed(4)}, perplexity ${Math.exp(loss).toFixed(3)}`);
        return cell;
      }
      cell.append(marked(texts[shown.text]));
      if (shown.choices) {
        const list = element("ul");
        for (const [choice, score] of shown.choices) {
          const written = score === null ? "–" : score.toFixed(3);
          const item = element("li", {}, element("span", { textContent: texts[choice] }), element("span", { textContent: written }));
          if (choice === shown.text) item.className = "taken";
          list.append(item);
        }
        cell.append(list);
      }
      const answer = shown.answer === undefined ? "no answer found" : `answer “${texts[shown.answer].trim()}”`;
      const said = shown.choices ? "" : `, ${answer}`;
      const verdict = shown.correct ? `✓ right${said}` : `✗ wrong${said}`;
      cell.append(element("p", { className: shown.correct ? "good" : "bad", textContent: verdict }));
      return cell;
    };
    const row = (view, sample) => {
      const [number, prompt, gold, before, after] = sample;
      const flip = is.fixed(sample) ? "fixed" : is.broken(sample) ? "broken" : "";
      const head = element("th", { scope: "row", className: "at", textContent: number });
      if (flip && view.kind !== "losses") head.append(element("span", { className: `flip ${flip}`, textContent: flip }));
      const asked = element("td", {}, marked(texts[prompt]), element("p", {}, "gold ", element("strong", { textContent: texts[gold].trim() })));
      asked.dataset.title = "prompt";
      const cells = view.paired ? [output(view, before, "untouched model")] : [];
      return element("tr", {}, head, asked, ...cells, output(view, after ?? before, after ? "tuned" : "untouched model"));
    };

    const draw = () => {
      const own = views.filter((view) => view.run === state.run);
      const view = own.find((candidate) => candidate.eval === state.eval);
      const options = (select, names, chosen) => {
        select.replaceChildren(...names.map((name) => element("option", { value: name, textContent: name, selected: name === chosen })));
        select.parentElement.hidden = names.length < 2;
      };
      options(byId("run"), runs, state.run);
      options(byId("eval"), own.map((candidate) => candidate.eval), state.eval);
      const search = byId("search");
      if (search.value !== state.search) search.value = state.search;

      const wanted = state.search.toLowerCase();
      const hits = wanted ? lower.map((text) => text.includes(wanted)) : null;
      const found = ([, prompt, gold, before, after]) =>
        hits[prompt] || hits[gold] || (before && (hits[before.text] || hits[before.answer])) || (after && (hits[after.text] || hits[after.answer]));
      const searched = hits ? view.rows.filter(found) : view.rows;
      byId("show").replaceChildren(...kinds(view).map((kind) => {
        const count = searched.filter(is[kind]).length;
        const button = element("button", { type: "button", textContent: `${kind} ${count}`, onclick: () => change({ show: kind }) });
        button.dataset.show = kind;
        button.setAttribute("aria-pressed", kind === state.show);
        return button;
      }));

      const rows = searched.filter(is[state.show]);
      const pages = Math.max(1, Math.ceil(rows.length / PAGE));
      state.page = Math.min(state.page, pages);
      const first = (state.page - 1) * PAGE;
      const shown = rows.slice(first, first + PAGE);
      const left = view.total - view.rows.length;
      const places = rows.length > PAGE ? `, ${first + 1} to ${first + shown.length} on this page` : "";
      byId("count").textContent = `${rows.length} of ${view.total} rows${places}${left > 0 ? `; the last ${left} are too many for this page and only in the run folder` : ""}`;
      const titles = ["row", "prompt", ...(view.paired ? ["untouched model"] : []), "tuned"];
      const head = element("tr", {}, ...titles.map((title) => element("th", { scope: "col", textContent: title, className: title === "row" ? "at" : title === "prompt" ? "" : "output" })));
      const caption = element("caption", { textContent: `Rows of ${view.eval}` });
      const table = element("table", { className: "samples" }, caption, element("thead", {}, head), element("tbody", {}, ...shown.map((sample) => row(view, sample))));
      byId("samples").replaceChildren(table);
      const go = (label, page, name) => element("button", { type: "button", textContent: label, disabled: page < 1 || page > pages, onclick: () => change({ page }), ariaLabel: name });
      byId("pages").replaceChildren(go("←", state.page - 1, "previous page"), element("span", { textContent: `page ${state.page} of ${pages}` }), go("→", state.page + 1, "next page"));
      byId("pages").hidden = pages < 2;
    };

    const controls = byId("controls");
    controls.hidden = false;
    controls.addEventListener("submit", (event) => event.preventDefault());
    byId("run").addEventListener("change", (event) => change({ run: event.target.value }));
    byId("eval").addEventListener("change", (event) => change({ eval: event.target.value, show: "all" }));
    byId("search").addEventListener("input", (event) => change({ search: event.target.value }));
    const follow = () => {
      if (location.hash !== "" && !location.hash.includes("=")) return;
      if (read()) holder.closest("section").scrollIntoView();
      draw();
    };
    addEventListener("hashchange", follow);
    read();
    draw();
    if (location.hash.includes("=") && !("live" in document.documentElement.dataset)) follow();
  }

  // What is folded on a screen is unfolded on paper.
  addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((details) => { details.open = true; }));

  // A report of a run under way: the file is written anew while this page is open.
  if ("live" in document.documentElement.dataset) {
    const name = `reftc ${location.pathname}`;
    const all = () => [...document.querySelectorAll("details")];
    try {
      const before = JSON.parse(sessionStorage.getItem(name) ?? "null");
      if (before) {
        all().forEach((details, at) => { details.open = before.open[at] ?? details.open; });
        const focused = byId(before.focus);
        if (focused) {
          focused.focus({ preventScroll: true });
          focused.setSelectionRange?.(before.start, before.end);
        }
        scrollTo(0, before.scroll);
      }
    } catch {
      // Without a memory the page begins at its top.
    }
    setInterval(() => {
      if (document.hidden) return;
      const focused = document.activeElement;
      const kept = { scroll: scrollY, focus: focused?.id ?? "", start: focused?.selectionStart, end: focused?.selectionEnd, open: all().map((details) => details.open) };
      try {
        sessionStorage.setItem(name, JSON.stringify(kept));
      } catch {
        // As above.
      }
      location.reload();
    }, 2000);
  }
})();
