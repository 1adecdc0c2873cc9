"use strict";
(() => {
  // What is chosen stands in the address, so that a view can be kept: #sort=2:descending&group=model&decoding=beam
  const search = document.getElementById("search"), group = document.getElementById("group");
  const filters = [...document.querySelectorAll("select.filter")], columns = [...document.querySelectorAll("#columns input")];
  const sections = [...document.querySelectorAll("section.ranked")].map(section => {
    const table = section.querySelector("table"), rows = [...table.tBodies[0].rows];
    return { section, table, rows, better: JSON.parse(section.dataset.better), first: Number(section.dataset.first),
             about: new Map(rows.map(row => [row, JSON.parse(row.dataset.about)])) };
  });
  let sort = null;  // [column, order]; null: the order in which the page was written

  const value = (row, column) => {
    const cell = row.cells[column];
    if (cell.dataset.value !== undefined) return Number(cell.dataset.value);
    const text = cell.textContent.trim();
    return text === "" || cell.querySelector(".missing") ? null : text !== "" && !isNaN(text) ? Number(text) : text;
  };
  function compare(a, b, column, sign) {
    const x = value(a, column), y = value(b, column);
    if (x === null || y === null) return (x === null) - (y === null);
    if (typeof x !== typeof y) return typeof x === "number" ? -1 : 1;
    return (typeof x === "string" ? x.localeCompare(y, undefined, { numeric: true }) : x - y) * sign;
  }
  const fits = about => search.value.toLowerCase().split(/\s+/).every(word => about.text.includes(word))
    && filters.every(select => select.value === "" || "=" + about[select.dataset.key] === select.value);

  function markBest(rows, better) {
    for (const [column, higher] of better.entries()) {
      const cells = rows.map(row => row.cells[column]).filter(cell => cell.dataset.value !== undefined);
      const shown = cells.map(cell => parseFloat(cell.textContent));
      const best = higher === null || cells.length < 2 ? null : Math[higher ? "max" : "min"](...shown);
      cells.forEach((cell, i) => { if (best !== null && shown[i] === best) cell.classList.add("best"); });
    }
  }
  function heading(text, width) {
    const row = document.createElement("tr"), cell = document.createElement("th");
    row.className = "group";
    cell.scope = "rowgroup";
    cell.colSpan = width;
    cell.textContent = text;
    row.append(cell);
    return row;
  }
  function show() {
    let shown = 0, all = 0;
    for (const { section, table, rows, better, about, first } of sections) {
      // floors and the human reply stand below the systems, and are never the best
      const marked = row => about.get(row).mark, sign = sort && sort[1] === "ascending" ? 1 : -1;
      const sorted = sort ? [...rows].sort((a, b) => marked(a) - marked(b) || compare(a, b, sort[0], sign)) : rows;
      for (const row of rows) row.hidden = !fits(about.get(row));
      const visible = sorted.filter(row => !row.hidden), names = new Map();
      for (const row of sorted) {
        const name = group.value ? about.get(row)[group.value] : "";
        if (!names.has(name)) names.set(name, []);
        names.get(name).push(row);
      }
      table.querySelectorAll(".group").forEach(row => row.remove());
      for (const [name, members] of names) {
        if (group.value && members.some(row => !row.hidden)) table.tBodies[0].append(heading(name, better.length));
        table.tBodies[0].append(...members);
      }
      table.querySelectorAll(".best").forEach(cell => cell.classList.remove("best"));
      markBest(visible.filter(row => !marked(row)), better);
      for (const [i, box] of columns.entries()) for (const row of [table.tHead.rows[0], ...rows]) row.cells[first + i].hidden = !box.checked;
      [...table.tHead.rows[0].cells].forEach((cell, i) => {
        if (sort && sort[0] === i) cell.setAttribute("aria-sort", sort[1]); else cell.removeAttribute("aria-sort");
      });
      section.hidden = visible.length === 0;
      shown += visible.length;
      all += rows.length;
    }
    document.getElementById("count").textContent = `${shown} of ${all} rows`;
    keep();
  }
  function keep() {
    const state = new URLSearchParams();
    if (sort) state.set("sort", sort.join(":"));
    if (group.value !== group.dataset.initial) state.set("group", group.value);
    if (search.value) state.set("search", search.value);
    for (const select of filters) if (select.value) state.set(select.dataset.key, select.value.slice(1));
    const hidden = columns.filter(box => !box.checked).map(box => box.dataset.column);
    if (hidden.length) state.set("hide", hidden.join(","));
    history.replaceState(null, "", state.size ? "#" + state : location.pathname + location.search);
  }
  function restore() {
    const state = new URLSearchParams(location.hash.slice(1)), [column, order] = (state.get("sort") || "").split(":");
    const width = sections.length ? sections[0].better.length : 0;
    sort = /^\d+$/.test(column) && Number(column) < width && ["ascending", "descending"].includes(order) ? [Number(column), order] : null;
    search.value = state.get("search") || "";
    group.value = state.has("group") ? state.get("group") : group.dataset.initial;
    for (const select of filters) {
      select.value = state.has(select.dataset.key) ? "=" + state.get(select.dataset.key) : "";
      if (select.selectedIndex < 0) select.value = "";
    }
    if (group.selectedIndex < 0) group.value = "";
    const hidden = (state.get("hide") || "").split(",");
    for (const box of columns) box.checked = !hidden.includes(box.dataset.column);
    show();
  }
  for (const { table, better } of sections) for (const head of table.tHead.rows[0].cells) {
    const button = document.createElement("button"), column = head.cellIndex;
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    if (better[column] !== null) head.title = better[column] ? "higher is better" : "lower is better";
    button.addEventListener("click", () => {
      const first = head.classList.contains("number") && better[column] !== false ? "descending" : "ascending";
      const other = first === "ascending" ? "descending" : "ascending";
      sort = [column, sort && sort[0] === column && sort[1] === first ? other : first];
      show();
    });
  }
  document.getElementById("controls").addEventListener("submit", event => event.preventDefault());
  document.getElementById("controls").addEventListener("input", show);
  document.getElementById("reset").addEventListener("click", () => {
    history.replaceState(null, "", location.pathname + location.search);
    restore();
  });
  window.addEventListener("hashchange", restore);
  restore();
})();
