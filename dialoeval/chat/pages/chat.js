"use strict";
// Comfort only: Enter sends, and the reply is shown as it comes. The forms work without this file.
const byId = id => document.getElementById(id);

function bubble(kind, who, text) {
  const item = document.createElement("li"), name = document.createElement("span"), said = document.createElement("p");
  item.className = `turn ${kind}`;
  name.className = "who";
  name.textContent = who;
  said.className = "bubble";
  said.textContent = text;
  item.append(name, said);
  byId("log").append(item);
  item.scrollIntoView({ block: "nearest" });
  return item;
}

async function listen(item, over) {
  const said = item.querySelector("p");
  while (!over.aborted) {
    try {
      const answer = await fetch("/so-far", { signal: over });
      if (answer.status === 200) {
        const text = await answer.text();
        if (text && !over.aborted) { said.textContent = text; item.classList.remove("waiting"); }
      }
    } catch { /* the reply itself says what is wrong */ }
    await new Promise(done => setTimeout(done, 150));
  }
}

function failed(text) {
  byId("status").textContent = text;
  byId("status").className = "failed";
  document.querySelectorAll("button").forEach(button => { button.disabled = false; });
}

async function send(form, button) {
  const fields = new URLSearchParams(new FormData(form)), over = new AbortController();
  if (button && button.name) fields.append(button.name, button.value);
  document.querySelectorAll("button").forEach(one => { one.disabled = true; });
  const added = [];
  if (form.id === "say") { byId("empty")?.remove(); added.push(bubble("user", "You", fields.get("text").trim())); }
  if (fields.get("action") === "retry") byId("last").hidden = true;
  if (form.id === "say" || fields.get("action") === "retry") {
    added.push(bubble("model waiting", "Model", "is writing"));
    added.at(-1).setAttribute("aria-hidden", "true");
    byId("status").textContent = "Waiting for the reply";
    listen(added.at(-1), over.signal);
  }
  try {
    const answer = await fetch(form.getAttribute("action"), { method: "POST", body: fields });
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    over.abort();
    if (!page.querySelector("main.chat")) { document.documentElement.replaceWith(page.documentElement); return; }
    page.querySelector("[autofocus]")?.removeAttribute("autofocus");
    document.title = page.title;
    document.body.replaceChildren(...page.body.children);
    begin();
    const last = document.querySelector("#last.model .bubble"), problem = byId("problem");
    // A screen reader is told once, when the reply is whole.
    if (!problem) setTimeout(() => { byId("status").innerHTML = ""; if (last && added.length) byId("status").append(unseen(`Model: ${last.textContent}`)); }, 100);
    byId("say").scrollIntoView({ block: "end" });
    byId("text").focus();
  } catch {
    over.abort();
    added.forEach(item => item.remove());
    if (byId("last")) byId("last").hidden = false;
    failed("The connection broke. Send again, or reload the page to see what was added.");
  }
}

function unseen(text) {
  const span = document.createElement("span");
  span.className = "unseen";
  span.textContent = text;
  return span;
}

function begin() {
  document.querySelectorAll("form").forEach(form => form.addEventListener("submit", event => {
    event.preventDefault();
    if (!byId("send").disabled) send(form, event.submitter);
  }));
  byId("text").addEventListener("keydown", event => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    byId("say").requestSubmit(byId("send"));
  });
  document.body.dataset.ready = "yes";
}
begin();
addEventListener("pageshow", event => { if (event.persisted) location.reload(); });
