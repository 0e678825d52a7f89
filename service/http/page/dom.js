// Elements, made and changed without markup: every word becomes a text node.

const SVG = "http://www.w3.org/2000/svg";

export function el(tag, attributes = {}, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

export function svg(tag, attributes = {}, ...children) {
  return filled(document.createElementNS(SVG, tag), attributes, children);
}

function filled(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== undefined && value !== false) node.setAttribute(name, value === true ? "" : String(value));
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

export function setText(node, words) {
  if (node.textContent !== words) node.textContent = words;
}

// Names and values as a <dl>; a value is words or a node, and one that is null is left out.
export function facts(pairs) {
  const known = pairs.filter(([, value]) => value !== null && value !== undefined);
  return el("dl", { class: "facts" }, ...known.map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value))));
}

// Something that is drawn anew only when what it shows has changed.
export function redrawn(node, draw) {
  let shown;
  return {
    node,
    update(value) {
      const now = JSON.stringify(value);
      if (now === shown) return;
      shown = now;
      node.replaceChildren(...draw(value));
    },
  };
}

// One child of `parent` for each item, in their order; `make` gives { node, update }.
export function keyed(parent, keyOf, make) {
  const children = new Map();
  return (items) => {
    const wanted = new Set(items.map(keyOf));
    for (const [key, child] of children) {
      if (!wanted.has(key)) {
        child.node.remove();
        children.delete(key);
      }
    }
    items.forEach((item, place) => {
      const key = keyOf(item);
      if (!children.has(key)) children.set(key, make(item));
      const child = children.get(key);
      if (parent.children[place] !== child.node) parent.insertBefore(child.node, parent.children[place] ?? null);
      child.update(item);
    });
    return children;
  };
}
