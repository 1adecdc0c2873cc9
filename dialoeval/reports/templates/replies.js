"use strict";
(() => {
  // A reply: [text, cut at the limit, words, score...]; data.scores: [heading, decimals] of each score; an example: [id, context, references, dataset].
  const data = JSON.parse(document.getElementById("data").textContent);
  const CUT = 1, WORDS = 2, PER_PAGE = 20;
  const SCORES = [...data.scores.map(([heading, decimals], i) => [WORDS + 1 + i, heading, decimals]), [WORDS, "Words", 0]];
  const by = id => document.getElementById(id);
  const visible = data.runs.map(() => true);
  let shown = [], page = 0;

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
  option(by("sort"), "", "dataset order");
  for (const [column, name] of SCORES) {
    if (data.replies.some(run => run.some(reply => reply && reply[column] !== null))) option(by("sort"), column, name);
  }
  option(by("minus"), "", "none");
  data.runs.forEach((name, i) => { option(by("sortrun"), i, name); option(by("minus"), i, name); });
  option(by("dataset"), "", "all");
  data.datasets.forEach((name, i) => option(by("dataset"), i, name));
  by("datasetlabel").hidden = data.datasets.length < 2;
  data.runs.forEach((name, i) => {
    const box = element("input", "");
    box.type = "checkbox";
    box.checked = true;
    box.addEventListener("change", () => { visible[i] = box.checked; select(); });
    by("runs").append(element("label", "run k" + i % 10, box, " ", name));
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
    cut: i => answers(i).some(reply => reply[CUT]),
  };
  function sortValue(i) {
    const column = Number(by("sort").value), one = data.replies[Number(by("sortrun").value)][i];
    const value = one ? one[column] : null;
    if (by("minus").value === "" || value === null) return value;
    const other = data.replies[Number(by("minus").value)][i];
    return other && other[column] !== null ? value - other[column] : null;
  }
  function select() {
    const query = by("search").value.trim().toLowerCase(), fits = filters[by("filter").value];
    const text = query ? haystack(by("where").value) : null, dataset = by("dataset").value;
    shown = [];
    for (let i = 0; i < data.examples.length; i++) {
      if ((!query || text[i].includes(query)) && (dataset === "" || data.examples[i][3] === Number(dataset)) && fits(i)) shown.push(i);
    }
    const sorted = by("sort").value !== "";
    for (const id of ["sortrun", "minus", "direction"]) by(id).disabled = !sorted;
    if (sorted) {
      const sign = by("direction").value === "up" ? 1 : -1;
      const values = new Map(shown.map(i => [i, sortValue(i)]));
      shown.sort((a, b) => { // examples without that score come last
        const x = values.get(a), y = values.get(b);
        if (x === null || y === null) return (x === null) - (y === null) || a - b;
        return (x - y) * sign || a - b;
      });
    }
    page = 0;
    draw();
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
  function exampleElement(i) {
    const [id, context, references] = data.examples[i];
    const box = element("article", "example", element("p", "id", marked(id)));
    context.forEach(turn => box.append(element("p", "turn", marked(turn))));
    const body = element("tbody", "");
    const columns = SCORES.filter(([column]) => data.replies.some(run => run[i] && run[i][column] !== null));
    const head = element("tr", "", element("th", "", "Run"), element("th", "", "Reply"));
    columns.forEach(([, name]) => head.append(element("th", "number", name)));
    data.replies.forEach((run, r) => {
      const reply = run[i];
      if (!reply || !visible[r]) return;
      const name = element("th", "", data.runs[r]);
      name.scope = "row";
      const text = reply[0].trim() ? element("td", "text", marked(reply[0])) : element("td", "text none", "(empty reply)");
      if (reply[CUT]) text.append(element("span", "cut", " cut at the limit"));
      const row = element("tr", "k" + r % 10, name, text);
      columns.forEach(([column, label, decimals]) => {
        const cell = element("td", "number", reply[column] === null ? "–" : reply[column].toFixed(decimals));
        cell.dataset.label = label;
        row.append(cell);
      });
      body.append(row);
    });
    box.append(element("table", "answers", element("thead", "", head), body));
    const listed = references.map(text => element("p", "reference", marked(text)));
    box.append(...listed.slice(0, 3));
    if (listed.length > 3) {
      box.append(element("details", "", element("summary", "", (listed.length - 3) + " more references"), ...listed.slice(3)));
    }
    return box;
  }
  function draw() {
    const pages = Math.max(1, Math.ceil(shown.length / PER_PAGE));
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
    page = Math.min(Math.max(0, to), Math.max(0, Math.ceil(shown.length / PER_PAGE) - 1));
    draw();
    if (scroll) by("replies").scrollIntoView();
  }
  const [top, bottom] = document.querySelectorAll(".pager");
  for (const [pager, scroll] of [[top, false], [bottom, true]]) {
    pager.querySelector(".previous").addEventListener("click", () => turn(page - 1, scroll));
    pager.querySelector(".next").addEventListener("click", () => turn(page + 1, scroll));
  }
  top.querySelector(".page").addEventListener("change", event => turn((Number(event.target.value) || 1) - 1, false));

  let waiting;
  by("search").addEventListener("input", () => { clearTimeout(waiting); waiting = setTimeout(select, 150); });
  by("controls").addEventListener("submit", event => event.preventDefault());
  for (const id of ["where", "filter", "dataset", "sort", "sortrun", "minus", "direction"]) by(id).addEventListener("change", select);
  document.addEventListener("keydown", event => {
    if (event.key === "/" && !/^(INPUT|SELECT|TEXTAREA)$/.test(document.activeElement.tagName)) {
      event.preventDefault();
      by("search").focus();
    }
  });
  select();
})();
