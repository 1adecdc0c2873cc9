"""Scripts that look over a page: labels that collide, texts that do not stand out."""

from __future__ import annotations

# Every pair of texts of a picture whose boxes meet, and every text that lies over a bar.
OVERLAPS = """() => {
  const meets = (a, b) =>
    a.left < b.right - 1 && b.left < a.right - 1 && a.top < b.bottom - 1 && b.top < a.bottom - 1;
  const found = [];
  for (const svg of document.querySelectorAll("svg")) {
    const frame = svg.getBoundingClientRect();
    const texts = [...svg.querySelectorAll("text")].map(node => [node.textContent, node.getBoundingClientRect()]);
    const bars = [...svg.querySelectorAll("rect")].map(node => node.getBoundingClientRect());
    texts.forEach(([text, box], i) => {
      for (const [other, theirs] of texts.slice(i + 1)) if (meets(box, theirs)) found.push([text, other]);
      if (bars.some(bar => meets(bar, box))) found.push([text, "a bar"]);
      if (box.left < frame.left - 1 || box.right > frame.right + 1) found.push([text, "the edge"]);
    });
  }
  return found;
}"""

# The lowest contrast (WCAG 2) of every visible text with what is behind it.
CONTRASTS = """() => {
  const channels = text => text.match(/[\\d.]+/g).map(Number);
  const linear = c => c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
  const light = rgb => [0.2126, 0.7152, 0.0722].reduce((sum, share, i) => sum + share * linear(rgb[i] / 255), 0);
  const behind = node => {
    for (let n = node; n; n = n.parentElement) {
      const colour = channels(getComputedStyle(n).backgroundColor);
      if (colour.length < 4 || colour[3] > 0) return colour;
    }
    return [255, 255, 255];
  };
  const silent = ["SCRIPT", "STYLE", "NOSCRIPT", "TITLE"];
  const found = {};
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const node = walker.currentNode.parentElement, text = walker.currentNode.textContent.trim();
    if (!text || silent.includes(node.tagName.toUpperCase()) || !node.getClientRects().length) continue;
    if (node.closest(":disabled, select")) continue;
    const style = getComputedStyle(node), ink = channels(node.closest("svg") ? style.fill : style.color);
    const [a, b] = [light(ink), light(behind(node))].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    const name = [node.className.baseVal ?? node.className, node.tagName, text.slice(0, 20)].join("|");
    if (ratio < 4.5) found[name] = ratio.toFixed(2);
  }
  return found;
}"""


def contrast(page, selector: str) -> float:
    """The contrast of an element's text with the background of the nearest element that has one (WCAG 2)."""
    return page.evaluate(
        """selector => {
            const parse = c => c.match(/[\\d.]+/g).map(Number);
            const linear = v => v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4;
            const light = ([r, g, b]) => [r, g, b].map(v => linear(v / 255))
                .reduce((sum, v, i) => sum + v * [.2126, .7152, .0722][i], 0);
            const element = document.querySelector(selector);
            let below = element;
            const background = e => parse(getComputedStyle(e).backgroundColor);
            while (below.parentElement && background(below)[3] === 0) below = below.parentElement;
            const [a, b] = [light(parse(getComputedStyle(element).color)), light(background(below))];
            return (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
        }""",
        selector,
    )
