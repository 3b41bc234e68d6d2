// Run by the page that holds the frames: how wide each framed page is, and the WCAG contrast of every text in it.
const context = Object.assign(document.createElement("canvas"), {width: 1, height: 1})
  .getContext("2d", {willReadFrequently: true});
const known = {};
function pixel(color) {
  if (!known[color]) {
    context.clearRect(0, 0, 1, 1); context.fillStyle = color; context.fillRect(0, 0, 1, 1);
    known[color] = [...context.getImageData(0, 0, 1, 1).data];
  }
  return known[color];
}
const linear = v => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
const luminance = color => { const p = pixel(color).map(linear); return 0.2126 * p[0] + 0.7152 * p[1] + 0.0722 * p[2]; };
function measure(page) {
  const view = page.defaultView, ratios = [];
  for (const element of page.querySelectorAll("main *")) {
    const text = [...element.childNodes].filter(n => n.nodeType === 3).map(n => n.data.trim()).join("");
    if (!text || !element.getClientRects().length || element.tagName === "title") continue;
    const style = view.getComputedStyle(element);
    let under = element;
    while (pixel(view.getComputedStyle(under).backgroundColor)[3] === 0 && under.parentElement) under = under.parentElement;
    const pair = [luminance(element.ownerSVGElement ? style.fill : style.color),
                  luminance(view.getComputedStyle(under).backgroundColor)].sort((a, b) => b - a);
    const ratio = (pair[0] + 0.05) / (pair[1] + 0.05);
    ratios.push([Math.round(ratio * 100) / 100, text.slice(0, 40)]);
  }
  return {width: page.documentElement.scrollWidth, dark: luminance(view.getComputedStyle(page.body).backgroundColor) < 0.5,
          ratios, texts: page.body.innerText.length};
}
addEventListener("load", () => {
  const found = {};
  for (const frame of document.querySelectorAll("iframe")) found[frame.id] = measure(frame.contentDocument);
  document.body.replaceChildren(Object.assign(document.createElement("pre"), {textContent: JSON.stringify(found)}));
});
