"use strict";
// Comfort only: keys, and a failed save that keeps the page. The form works without this file.
const form = document.getElementById("form"), send = document.getElementById("send"), status = document.getElementById("status");
const fieldsets = [...form.querySelectorAll("fieldset")], undo = document.getElementById("undo");
const keysOn = document.getElementById("keys-on"), summary = document.getElementById("summary");

const remembered = key => { try { const value = sessionStorage.getItem(key); sessionStorage.removeItem(key); return value; } catch { return null; } };
const remember = key => { try { sessionStorage.setItem(key, "1"); } catch { /* private mode */ } };
if (remembered("saved")) setTimeout(() => { status.textContent = "Saved."; }, 100);
if (summary) summary.focus();

document.getElementById("keys").hidden = false;
keysOn.checked = !/(^|; )keys=off/.test(document.cookie);
const showKeys = () => document.body.classList.toggle("with-keys", keysOn.checked);
showKeys();
keysOn.addEventListener("change", () => {
  document.cookie = `keys=${keysOn.checked ? "on" : "off"}; path=/; max-age=31536000; samesite=strict`;
  showKeys();
});

const answered = fieldset => fieldset.querySelector("input:checked") !== null;
const current = () => document.activeElement.closest("fieldset") || fieldsets.find(f => !answered(f)) || fieldsets[0];

function choose(number) {
  const fieldset = current(), radio = fieldset.querySelectorAll("input")[number - 1];
  if (!radio) return;
  radio.checked = true;
  radio.focus();
  const next = fieldsets.slice(fieldsets.indexOf(fieldset) + 1).concat(fieldsets).find(f => !answered(f));
  if (next) next.querySelector("input").focus(); else send.focus();
}

document.addEventListener("keydown", event => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
  if (event.target.tagName === "TEXTAREA" || !keysOn.checked) return;
  if (/^[1-9]$/.test(event.key)) { choose(Number(event.key)); event.preventDefault(); }
  else if (event.key === "Enter" && !/^(BUTTON|A)$/.test(event.target.tagName)) {
    event.preventDefault();
    if (fieldsets.every(answered)) form.requestSubmit();
    else { const open = fieldsets.find(f => !answered(f)); open.querySelector("input").focus(); status.textContent = "One question is still open."; }
  }
  else if (event.key.toLowerCase() === "u" && undo) undo.submit();
  else if (event.key === "?") location.assign("/help");
});

function failed(text) {
  status.textContent = text;
  status.className = "failed";
  send.disabled = false;
  send.textContent = "Send again";
}

form.addEventListener("submit", async event => {
  event.preventDefault();
  if (send.disabled) return;
  send.disabled = true;
  status.className = "";
  status.textContent = "Saving";
  try {
    const answer = await fetch("/answer", { method: "POST", body: new URLSearchParams(new FormData(form)), redirect: "manual" });
    if (answer.type === "opaqueredirect") { remember("saved"); location.replace("/"); }
    else if (answer.status >= 500 || answer.status === 429) failed("Not saved yet, and nothing is lost: tell the organiser, and press Send again.");
    else { send.disabled = false; form.submit(); } // the page that comes says what is wrong
  } catch { failed("Not saved yet: there is no connection. Press Send again."); }
});
addEventListener("pageshow", event => { if (event.persisted) location.reload(); });
