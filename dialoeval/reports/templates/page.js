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
    const heading = head.querySelector(".heading");
    button.append(...(heading || head).childNodes);
    if (heading) heading.replaceWith(button); else head.append(button);
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

  // What a figure means: shown while the pointer rests on its heading; a tap or Enter on its sign keeps it.
  const about = document.getElementById("about");
  let kept = null;
  function explain(sign, keep) {
    const entry = document.getElementById(sign.getAttribute("href").slice(1));
    about.replaceChildren(...[...entry.childNodes].map(node => node.cloneNode(true)));
    if (!about.matches(":popover-open")) about.showPopover();
    const box = sign.getBoundingClientRect(), wide = about.offsetWidth, tall = about.offsetHeight;
    about.style.left = Math.max(8, Math.min(box.left - wide / 2, document.documentElement.clientWidth - wide - 8)) + "px";
    about.style.top = (box.bottom + 8 + tall > innerHeight ? Math.max(8, box.top - 8 - tall) : box.bottom + 8) + "px";
    kept = keep ? sign : null;
  }
  if (about && about.showPopover) for (const sign of document.querySelectorAll("a.about")) {
    const head = sign.closest("th");
    let waiting;
    head.addEventListener("pointerenter", event => { if (event.pointerType === "mouse" && !kept) waiting = setTimeout(explain, 250, sign, false); });
    head.addEventListener("pointerleave", () => { clearTimeout(waiting); if (!kept && about.matches(":popover-open")) about.hidePopover(); });
    sign.addEventListener("click", event => {
      event.preventDefault();
      clearTimeout(waiting);
      if (kept === sign) { kept = null; about.hidePopover(); } else explain(sign, true);
    });
  }
  if (about && about.showPopover) {
    const close = () => { kept = null; if (about.matches(":popover-open")) about.hidePopover(); };
    document.addEventListener("pointerdown", event => { if (!about.contains(event.target) && !event.target.closest("a.about")) close(); });
    document.addEventListener("keydown", event => { if (event.key === "Escape") close(); });
    for (const box of document.querySelectorAll(".scroll")) box.addEventListener("scroll", close, { passive: true });
  }
})();
