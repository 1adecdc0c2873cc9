"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const METRICS = ["METEOR", "NIST", "BLEU"], PER_PAGE = 25;
const by = id => document.getElementById(id);
let shown = [], page = 0;

// Text is only ever put into the page as text, never as markup.
function element(tag, className, text) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}
function option(select, value, text) {
  const made = element("option", "", text);
  made.value = value;
  select.append(made);
}
option(by("sort"), "order", "dataset order");
METRICS.forEach((name, i) => { option(by("sort"), "high" + i, name + ", best first"); option(by("sort"), "low" + i, name + ", worst first"); });
option(by("sort"), "spread", "largest difference in METEOR");
data.runs.forEach((name, i) => option(by("sortrun"), i, name));

const haystacks = data.examples.map((example, i) =>
  [...example[1], ...example[2], ...data.replies.map(run => run[i] ? run[i][0] : "")].join("\n").toLowerCase());

function differs(i) { return new Set(data.replies.map(run => run[i] && run[i][0])).size > 1; }
function spread(i) {
  const values = data.replies.map(run => run[i] && run[i][1]).filter(v => v !== null && v !== undefined);
  return values.length ? Math.max(...values) - Math.min(...values) : -1;
}
function select() {
  const wanted = by("search").value.trim().toLowerCase(), filter = by("filter").value, sort = by("sort").value;
  const run = data.replies[Number(by("sortrun").value)];
  shown = data.examples.map((_, i) => i).filter(i =>
    (!wanted || haystacks[i].includes(wanted)) &&
    (filter !== "differ" || differs(i)) &&
    (filter !== "empty" || data.replies.some(r => r[i] && r[i][0].trim() === "")));
  if (sort === "spread") shown.sort((a, b) => spread(b) - spread(a) || a - b);
  else if (sort !== "order") {
    const sign = sort.startsWith("high") ? -1 : 1, column = 1 + Number(sort.slice(-1));
    const value = i => run[i] && run[i][column] !== null ? run[i][column] : sign * Infinity; // without a score: last
    shown.sort((a, b) => { const x = value(a), y = value(b); return x === y ? a - b : (x < y ? -1 : 1) * sign; });
  }
  page = 0;
  draw();
}
function draw() {
  const pages = Math.max(1, Math.ceil(shown.length / PER_PAGE));
  const list = document.createDocumentFragment();
  for (const i of shown.slice(page * PER_PAGE, (page + 1) * PER_PAGE)) list.append(exampleElement(i));
  by("list").replaceChildren(list);
  by("count").textContent = shown.length + " of " + data.examples.length + " examples";
  by("page").textContent = "page " + (page + 1) + " of " + pages;
  by("previous").disabled = page === 0;
  by("next").disabled = page >= pages - 1;
}
function exampleElement(i) {
  const [id, context, references] = data.examples[i];
  const box = element("article", "example");
  for (const turn of context) box.append(element("p", "turn", turn));
  const answers = element("div", "answers");
  data.replies.forEach((run, r) => {
    const reply = run[i];
    if (!reply) return;
    answers.append(element("span", "who", data.runs[r]));
    answers.append(reply[0].trim() ? element("span", "text", reply[0]) : element("span", "text empty", "(empty reply)"));
    answers.append(element("span", "scores", METRICS.map((name, m) =>
      reply[m + 1] === null ? "" : name + " " + reply[m + 1].toFixed(3)).filter(Boolean).join("  ")));
  });
  box.append(answers);
  references.slice(0, 8).forEach(text => box.append(element("p", "reference", "reference: " + text)));
  if (references.length > 8) box.append(element("p", "reference", "and " + (references.length - 8) + " more references"));
  box.append(element("span", "id", id));
  return box;
}
let waiting;
by("search").addEventListener("input", () => { clearTimeout(waiting); waiting = setTimeout(select, 120); });
for (const id of ["filter", "sort", "sortrun"]) by(id).addEventListener("change", select);
by("previous").addEventListener("click", () => { page--; draw(); });
by("next").addEventListener("click", () => { page++; draw(); });

by("theme").addEventListener("click", () => {
  const root = document.documentElement;
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
});
async function copy(text) {
  try { await navigator.clipboard.writeText(text); }
  catch { // pages opened from the disk may have no clipboard: select and copy
    const area = element("textarea"); area.value = text; document.body.append(area); area.select();
    document.execCommand("copy"); area.remove();
  }
  by("copied").textContent = "copied";
  setTimeout(() => { by("copied").textContent = ""; }, 1500);
}
for (const button of document.querySelectorAll(".copy")) button.addEventListener("click", () => copy(button.dataset.text));

for (const head of document.querySelectorAll(".sortable thead th")) {
  const sort = () => {
    const body = head.closest("table").tBodies[0], column = head.cellIndex;
    const down = head.getAttribute("aria-sort") !== "descending";
    const value = row => { const text = row.cells[column].textContent; const n = parseFloat(text); return Number.isNaN(n) ? text : n; };
    const rows = [...body.rows].sort((a, b) => { const x = value(a), y = value(b); return (x < y ? 1 : x > y ? -1 : 0) * (down ? 1 : -1); });
    for (const other of head.parentNode.cells) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    body.append(...rows);
  };
  head.addEventListener("click", sort);
  head.addEventListener("keydown", event => { if (event.key === "Enter" || event.key === " ") { event.preventDefault(); sort(); } });
}
select();
