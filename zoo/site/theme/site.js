// Search in the pages of this folder, and a button that copies code. Nothing is fetched: the index is a script, which a
// browser reads from a disk as well.
"use strict";

const MOST = 40; // results
const EACH = 2; // of one page
const AROUND = 70; // characters of text on either side of what was found

/** The sections that have all words of a query, the best first: [address, page, place, heading, text]. */
function found(index, query) {
  const words = query.toLowerCase().split(/[\s_.-]+/).filter(Boolean);
  if (!words.length) return [];
  const whole = words.join(" ");
  const plain = (text) => text.toLowerCase().replace(/[_.-]+/g, " ");
  const scored = [];
  for (const entry of index) {
    const [, page, place, heading, text] = entry;
    const title = plain(heading || page), home = plain(page), rest = plain(`${place} ${text}`);
    let score = heading ? 0 : 1;
    for (const word of words) {
      if (title.split(" ").includes(word)) score += 12;
      else if (title.includes(word)) score += 8;
      else if (home.includes(word)) score += 4;
      else if (rest.includes(word)) score += 1;
      else score = -Infinity;
    }
    if (title === whole) score += heading ? 20 : 60;
    else if (title.startsWith(whole)) score += 10;
    if (score > 0) scored.push([score, entry]);
  }
  const shown = {};
  const few = ([, [address]]) => {
    const page = address.split("#")[0];
    shown[page] = (shown[page] || 0) + 1;
    return shown[page] <= EACH;
  };
  return scored.sort((a, b) => b[0] - a[0]).filter(few).slice(0, MOST).map(([, entry]) => entry);
}

/** The text around the first word of a query, in three parts: before it, itself, after it. */
function excerpt(text, query) {
  const lower = text.toLowerCase();
  const places = query.toLowerCase().split(/\s+/).filter(Boolean).map((word) => [lower.indexOf(word), word.length]);
  const [at, length] = places.find(([place]) => place >= 0) || [0, 0];
  const from = Math.max(0, at - AROUND), to = at + length + AROUND;
  const before = (from ? "…" : "") + text.slice(from, at);
  return [before, text.slice(at, at + length), text.slice(at + length, to) + (to < text.length ? "…" : "")];
}

function start(root) {
  const input = document.querySelector(".search input"), list = document.querySelector(".search ol");
  let index = null, chosen = -1;

  const element = (name, text, className) => {
    const made = document.createElement(name);
    made.textContent = text;
    if (className) made.className = className;
    return made;
  };
  const choose = (place) => {
    const rows = [...list.querySelectorAll("a")];
    rows.forEach((row) => row.removeAttribute("aria-selected"));
    chosen = rows.length ? (place + rows.length) % rows.length : -1;
    if (chosen < 0) return;
    rows[chosen].setAttribute("aria-selected", "true");
    rows[chosen].scrollIntoView({ block: "nearest" });
  };
  const show = () => {
    const query = input.value.trim();
    list.hidden = !query;
    if (!query) return;
    if (!index) return list.replaceChildren(element("li", "Reading the index …"));
    const rows = found(index, query).map(([address, page, place, heading, text]) => {
      const link = element("a", "");
      link.href = root + address;
      const head = element("span", heading ? `${page} › ${heading}` : page, "head");
      if (place) head.append(element("small", place));
      const [before, hit, after] = excerpt(text, query);
      const body = element("span", before, "body");
      body.append(element("mark", hit), after);
      link.append(head, body);
      const row = document.createElement("li");
      row.append(link);
      return row;
    });
    list.replaceChildren(...(rows.length ? rows : [element("li", `Nothing has the words: ${query}`)]));
    choose(0);
  };
  const load = () => {
    if (load.begun) return;
    load.begun = true;
    const script = document.createElement("script");
    script.src = `${root}search-index.js`;
    script.onload = () => { index = window.zooIndex; show(); };
    document.head.append(script);
  };

  input.addEventListener("focus", load);
  input.addEventListener("input", () => { load(); show(); });
  input.addEventListener("keydown", (event) => {
    if (event.key === "ArrowDown") choose(chosen + 1);
    else if (event.key === "ArrowUp") choose(chosen - 1);
    else if (event.key === "Enter" && chosen >= 0) list.querySelectorAll("a")[chosen].click();
    else if (event.key === "Escape") { list.hidden = true; input.blur(); }
    else return;
    event.preventDefault();
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "/" || event.ctrlKey || event.metaKey || event.target.closest("input, textarea")) return;
    event.preventDefault();
    input.focus();
    input.select();
  });
  document.addEventListener("click", (event) => {
    if (!event.target.closest(".search")) list.hidden = true;
  });

  for (const block of document.querySelectorAll("pre")) {
    const button = element("button", "copy");
    button.type = "button";
    button.onclick = async () => {
      await navigator.clipboard.writeText(block.querySelector("code").textContent);
      button.textContent = "copied";
      setTimeout(() => { button.textContent = "copy"; }, 1500);
    };
    block.append(button);
  }
}

if (typeof document === "undefined") module.exports = { found, excerpt };
else start(document.currentScript.dataset.root);
