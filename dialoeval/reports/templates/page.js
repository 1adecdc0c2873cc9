"use strict";
(() => {
  const root = document.documentElement;
  const stored = () => { try { return localStorage.getItem("dialoeval-theme"); } catch { return null; } };
  if (stored()) root.dataset.theme = stored();
  document.getElementById("theme").addEventListener("click", () => {
    const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
    try { localStorage.setItem("dialoeval-theme", root.dataset.theme); } catch { /* pages from the disk may have none */ }
  });

  async function copy(text) {
    try { await navigator.clipboard.writeText(text); return true; } catch { /* not every page may: select and copy */ }
    const area = document.createElement("textarea");
    area.value = text;
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    return done;
  }
  for (const button of document.querySelectorAll(".copy")) button.addEventListener("click", async () => {
    const message = button.parentNode.querySelector(".copied");
    message.textContent = await copy(button.dataset.text) ? "copied" : "the browser does not let this page copy";
    setTimeout(() => { message.textContent = ""; }, 2000);
  });

  // Headings of sortable tables become buttons; rows without a figure stay last.
  for (const head of document.querySelectorAll("table.sortable thead th")) {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    const value = row => {
      const cell = row.cells[head.cellIndex];
      return head.cellIndex === 0 ? cell.textContent : cell.dataset.value === undefined ? null : Number(cell.dataset.value);
    };
    button.addEventListener("click", () => {
      const body = head.closest("table").tBodies[0];
      const first = head.cellIndex === 0 ? "ascending" : "descending";
      const other = first === "ascending" ? "descending" : "ascending";
      const order = head.getAttribute("aria-sort") === first ? other : first, sign = order === "ascending" ? 1 : -1;
      const rows = [...body.rows].sort((a, b) => {
        const x = value(a), y = value(b);
        if (x === null || y === null) return (x === null) - (y === null);
        return (typeof x === "string" ? x.localeCompare(y) : x - y) * sign;
      });
      for (const cell of head.parentNode.cells) cell.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", order);
      body.append(...rows);
    });
  }
})();
