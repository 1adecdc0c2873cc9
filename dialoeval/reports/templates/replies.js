"use strict";
(() => {
  // A reply: [text, reason of its end, words, score...]; data.scores: [heading, decimals] of each score; an example: [id, context, references, dataset].
  const data = JSON.parse(document.getElementById("data").textContent);
  const REASON = 1, WORDS = 2, PER_PAGE = 20, FOLD = 70; // words of a text that are shown at first
  const SCORES = [...data.scores.map(([heading, decimals], i) => [WORDS + 1 + i, heading, decimals]), [WORDS, "Words", 0]];
  const REASONS = { stop: "by itself (stop)", length: "at the limit (length)" };
  const by = id => document.getElementById(id);
  const visible = data.runs.map(() => true);
  let shown = [], values = new Map(), page = 0, target = -1; // target: the example that the address names

  // Text is only ever put into the page as text, never as markup.
  function element(tag, className, ...content) {
    const node = document.createElement(tag);
    if (className) node.className = className;
    node.append(...content);
    return node;
  }
  function option(select, value, text) {
    const node = element("option", "", text);
    node.value = value;
    select.append(node);
  }
  const shape = r => "k" + r % 10 + " s" + Math.floor(r / 10) % 6;
  option(by("sort"), "", "dataset order");
  for (const [column, name] of SCORES) {
    if (data.replies.some(run => run.some(reply => reply && reply[column] !== null))) option(by("sort"), column, name);
  }
  option(by("minus"), "", "none");
  data.runs.forEach((name, i) => { option(by("sortrun"), i, name); option(by("minus"), i, name); });
  option(by("ended"), "", "in any way");
  data.finish.forEach((reason, i) => option(by("ended"), i, REASONS[reason] || reason));
  option(by("dataset"), "", "all");
  data.datasets.forEach((name, i) => option(by("dataset"), i, name));
  by("datasetlabel").hidden = data.datasets.length < 2;
  const boxes = data.runs.map((name, i) => {
    const box = element("input", "");
    box.type = "checkbox";
    box.checked = true;
    box.addEventListener("change", () => { visible[i] = box.checked; select(); });
    by("runs").append(element("label", "run " + shape(i), box, " ", name));
    return box;
  });

  const parts = {
    replies: i => data.replies.filter((_, r) => visible[r]).map(run => run[i] ? run[i][0] : ""),
    context: i => data.examples[i][1],
    references: i => data.examples[i][2],
    all: i => [data.examples[i][0], ...parts.context(i), ...parts.references(i), ...parts.replies(i)],
  };
  let haystacks = {}; // by part and visible runs: lower-cased text of every example, computed when it is first searched
  function haystack(where) {
    const key = where + visible.map(Number).join("");
    if (!haystacks[key]) haystacks = { [key]: data.examples.map((_, i) => parts[where](i).join("\n").toLowerCase()) };
    return haystacks[key];
  }
  const answers = i => data.replies.filter((run, r) => visible[r] && run[i]).map(run => run[i]);
  const filters = {
    all: () => true,
    differ: i => new Set(answers(i).map(reply => reply[0])).size > 1,
    same: i => answers(i).length > 1 && new Set(answers(i).map(reply => reply[0])).size === 1,
    empty: i => answers(i).some(reply => reply[0].trim() === ""),
    cut: i => answers(i).some(reply => data.finish[reply[REASON]] === "length"),
  };
  function sortValue(i) {
    const column = Number(by("sort").value), one = data.replies[Number(by("sortrun").value)][i];
    const value = one ? one[column] : null;
    if (by("minus").value === "" || value === null) return value;
    const other = data.replies[Number(by("minus").value)][i];
    return other && other[column] !== null ? value - other[column] : null;
  }
  const number = id => by(id).value.trim() === "" || Number.isNaN(Number(by(id).value)) ? null : Number(by(id).value);
  const inside = (value, low, high) => value !== null && (low === null || value >= low) && (high === null || value <= high);
  // What is asked of one reply: its length and its end; null if nothing is.
  function replyFilter() {
    const low = number("shortest"), high = number("longest"), ended = by("ended").value;
    if (low === null && high === null && ended === "") return null;
    return reply => inside(reply[WORDS], low, high) && (ended === "" || reply[REASON] === Number(ended));
  }
  // What the replies are ordered by, in words: "METEOR of A minus B".
  function inWords() {
    const name = id => by(id).selectedOptions[0].textContent;
    const minus = by("minus").value === "" ? "" : " minus " + name("minus");
    return name("sort") + " of " + name("sortrun") + minus;
  }
  function summary(sorted) {
    const said = [], low = number("low"), high = number("high");
    const between = (from, to) => from === null ? "at most " + to : to === null ? "at least " + from : from + " to " + to;
    if (sorted) said.push(inWords() + (low === null && high === null ? "" : ", " + between(low, high)) + ", " + by("direction").selectedOptions[0].textContent);
    const least = number("shortest"), most = number("longest");
    if (least !== null || most !== null) said.push("a reply of " + between(least, most) + " words");
    if (by("ended").value !== "") said.push("a reply that ended " + by("ended").selectedOptions[0].textContent);
    return said.join("; ");
  }
  function select(keep) {
    const query = by("search").value.trim().toLowerCase(), fits = filters[by("filter").value], asked = replyFilter();
    const text = query ? haystack(by("where").value) : null, dataset = by("dataset").value;
    const sorted = by("sort").value !== "", low = sorted ? number("low") : null, high = sorted ? number("high") : null;
    for (const id of ["sortrun", "minus", "direction", "low", "high"]) by(id).disabled = !sorted;
    shown = [];
    values = new Map();
    for (let i = 0; i < data.examples.length; i++) {
      if (query && !text[i].includes(query) || dataset !== "" && data.examples[i][3] !== Number(dataset) || !fits(i)) continue;
      if (asked && !answers(i).some(asked)) continue;
      if (sorted) {
        const value = sortValue(i);
        if ((low !== null || high !== null) && !inside(value, low, high)) continue;
        values.set(i, value);
      }
      shown.push(i);
    }
    if (sorted) {
      const sign = by("direction").value === "up" ? 1 : -1;
      shown.sort((a, b) => { // examples without that score come last
        const x = values.get(a), y = values.get(b);
        if (x === null || y === null) return (x === null) - (y === null) || a - b;
        return (x - y) * sign || a - b;
      });
    }
    by("summary").textContent = summary(sorted);
    if (keep !== true) { page = 0; target = -1; remember(); }
    draw();
  }

  // The state of the controls in the address, and back; what has its first value is left out.
  const STATE = "replies:", FIELDS = ["search", "where", "filter", "dataset", "sort", "sortrun", "minus", "direction", "low", "high", "shortest", "longest", "ended"];
  const first = Object.fromEntries(FIELDS.map(id => [id, by(id).value]));
  function remember() {
    const state = new URLSearchParams();
    for (const id of FIELDS) if (by(id).value !== first[id]) state.set(id, by(id).value);
    if (visible.includes(false)) state.set("without", visible.flatMap((on, i) => on ? [] : [i]).join(","));
    if (page) state.set("page", page + 1);
    const hash = state.size === 0 ? "" : "#" + STATE + state;
    if (hash === location.hash || hash === "" && !ours()) return;
    try { history.replaceState(null, "", hash || location.pathname + location.search); } catch { location.hash = hash; }
  }
  const named = () => { try { return decodeURIComponent(location.hash.slice(1)); } catch { return location.hash.slice(1); } };
  const ours = () => location.hash.startsWith("#" + STATE) || exampleNamed() >= 0;
  function restore(state) {
    for (const id of FIELDS) {
      by(id).value = state.get(id) ?? first[id];
      if (by(id).tagName === "SELECT" && by(id).selectedIndex < 0) by(id).value = first[id];
    }
    const without = (state.get("without") || "").split(",").filter(Boolean).map(Number);
    boxes.forEach((box, i) => { box.checked = visible[i] = !without.includes(i); });
    page = (Number(state.get("page")) || 1) - 1;
  }
  // The address of an example: its id, unless a part of the page or another example has that name.
  const positions = new Map();
  data.examples.forEach(([id], i) => { if (!positions.has(id)) positions.set(id, i); });
  const address = i => {
    const id = data.examples[i][0];
    const plain = positions.get(id) === i && id && !by(id) && !id.startsWith(STATE) && !id.startsWith("example:") && id.isWellFormed();
    return "#" + (plain ? encodeURIComponent(id) : "example:" + i);
  };
  function exampleNamed() {
    const name = named(), numbered = /^example:(\d+)$/.exec(name);
    if (numbered) return Number(numbered[1]) < data.examples.length ? Number(numbered[1]) : -1;
    return by(name) ? -1 : positions.get(name) ?? -1;
  }
  function go() { // to what the address names
    const i = exampleNamed();
    if (location.hash.startsWith("#" + STATE)) {
      restore(new URLSearchParams(location.hash.slice(1 + STATE.length)));
      target = -1;
      select(true);
      by("replies").scrollIntoView();
    } else if (i >= 0) {
      target = i;
      if (!shown.includes(i)) { restore(new URLSearchParams()); select(true); }
      page = Math.floor(shown.indexOf(i) / PER_PAGE);
      draw();
      document.querySelector("#list .target").scrollIntoView();
    }
  }

  // The text with what is searched for marked; bidirectional control characters cannot reach beyond it.
  function marked(text) {
    const query = by("search").value.trim();
    const node = document.createElement("bdi");
    if (!query) { node.append(text); return node; }
    const pieces = text.split(new RegExp("(" + query.replace(/[.*+?^${}()|[\]\\]/g, "\\$&") + ")", "gi"));
    pieces.forEach((piece, i) => { if (piece) node.append(i % 2 ? element("mark", "", piece) : piece); });
    return node;
  }
  // A long text: its beginning, and a button for the rest; whole if what is searched for stands in the rest.
  function folded(text) {
    const begin = new RegExp("^\\s*(?:\\S+\\s+){" + FOLD + "}").exec(text.slice(0, 20000));
    const query = by("search").value.trim().toLowerCase();
    const end = begin ? begin[0].length : Math.min(text.length, 3000);
    const words = begin ? text.split(/\s+/).filter(Boolean).length : 0;
    if (end >= text.length - 80 || query && text.slice(end).toLowerCase().includes(query)) return [marked(text)];
    const more = element("button", "more", begin ? "Show all " + words.toLocaleString("en") + " words" : "Show all of it");
    const start = marked(text.slice(0, end) + " …");
    more.type = "button";
    more.addEventListener("click", () => { start.replaceWith(marked(text)); more.remove(); });
    return [start, more];
  }
  function exampleElement(i) {
    const [id, context, references] = data.examples[i];
    const link = element("a", "", marked(id || "example " + (i + 1)));
    link.href = address(i);
    const box = element("article", i === target ? "example target" : "example", element("p", "id", link));
    if (values.get(i) !== undefined && values.get(i) !== null) {
      const difference = by("minus").value !== "", column = SCORES.find(([c]) => c === Number(by("sort").value));
      const figure = values.get(i).toFixed(column[2]);
      box.firstChild.append(element("span", "delta", inWords() + ": " + (difference && values.get(i) > 0 ? "+" : "") + figure));
    }
    context.forEach((turn, t) => box.append(element("p", t === context.length - 1 ? "turn last" : "turn", ...folded(turn))));
    const listed = references.map(text => element("p", "reference", ...folded(text)));
    if (listed.length) box.append(element("p", "what", listed.length === 1 ? "Reference" : "References"), ...listed.slice(0, 3));
    if (listed.length > 3) {
      box.append(element("details", "", element("summary", "", (listed.length - 3) + (listed.length === 4 ? " more reference" : " more references")), ...listed.slice(3)));
    }
    const body = element("tbody", "");
    const columns = SCORES.filter(([column]) => data.replies.some(run => run[i] && run[i][column] !== null));
    const head = element("tr", "", element("th", "", "Run"), element("th", "", "Reply"));
    columns.forEach(([, name]) => head.append(element("th", "number", name)));
    data.replies.forEach((run, r) => {
      const reply = run[i];
      if (!reply || !visible[r]) return;
      const name = element("th", "", data.runs[r]);
      name.scope = "row";
      const text = reply[0].trim() ? element("td", "text", ...folded(reply[0])) : element("td", "text none", "(empty reply)");
      const reason = data.finish[reply[REASON]];
      if (reason !== "stop") text.append(element("span", "cut", reason === "length" ? " cut at the limit" : " ended: " + reason));
      const row = element("tr", shape(r), name, text);
      columns.forEach(([column, label, decimals]) => {
        const cell = element("td", "number", reply[column] === null ? "–" : reply[column].toFixed(decimals));
        cell.dataset.label = label;
        row.append(cell);
      });
      body.append(row);
    });
    box.append(element("table", "answers", element("thead", "", head), body));
    return box;
  }
  function draw() {
    const pages = Math.max(1, Math.ceil(shown.length / PER_PAGE));
    page = Math.min(Math.max(0, Math.floor(page)), pages - 1);
    by("list").replaceChildren(...shown.slice(page * PER_PAGE, (page + 1) * PER_PAGE).map(exampleElement));
    by("count").textContent = shown.length.toLocaleString("en") + " of " + data.examples.length.toLocaleString("en") + " examples";
    for (const total of document.querySelectorAll(".pager .of")) total.textContent = "of " + pages.toLocaleString("en");
    for (const button of document.querySelectorAll(".pager .previous")) button.disabled = page === 0;
    for (const button of document.querySelectorAll(".pager .next")) button.disabled = page >= pages - 1;
    const input = document.querySelector(".pager .page");
    input.value = page + 1;
    input.max = pages;
  }
  function turn(to, scroll) {
    page = to;
    target = -1;
    draw();
    remember();
    if (scroll) by("replies").scrollIntoView();
  }
  const [top, bottom] = document.querySelectorAll(".pager");
  for (const [pager, scroll] of [[top, false], [bottom, true]]) {
    pager.querySelector(".previous").addEventListener("click", () => turn(page - 1, scroll));
    pager.querySelector(".next").addEventListener("click", () => turn(page + 1, scroll));
  }
  top.querySelector(".page").addEventListener("change", event => turn((Number(event.target.value) || 1) - 1, false));

  let waiting;
  const later = () => { clearTimeout(waiting); waiting = setTimeout(select, 150); };
  by("controls").addEventListener("submit", event => event.preventDefault());
  for (const id of FIELDS) by(id).addEventListener(by(id).tagName === "SELECT" ? "change" : "input", by(id).tagName === "SELECT" ? () => select() : later);
  by("clear").addEventListener("click", () => { restore(new URLSearchParams()); select(); });
  window.addEventListener("hashchange", go);
  document.addEventListener("keydown", event => {
    if (event.key === "/" && !/^(INPUT|SELECT|TEXTAREA)$/.test(document.activeElement.tagName)) {
      event.preventDefault();
      by("search").focus();
    }
  });
  select(true);
  go();
})();
