"use strict";
// The toggle overrides the system's preference; storage may be refused on file://, then the choice lasts one page.
(() => {
  const button = document.getElementById("theme");
  const system = matchMedia("(prefers-color-scheme: dark)");
  const stored = () => {
    try { return localStorage.getItem("sveb-theme"); } catch { return null; }
  };
  let theme = stored();
  const show = () => {
    const dark = theme ? theme === "dark" : system.matches;
    document.documentElement.dataset.theme = dark ? "dark" : "light";
    button.setAttribute("aria-pressed", String(dark));
  };
  button.hidden = false;
  button.addEventListener("click", () => {
    theme = document.documentElement.dataset.theme === "dark" ? "light" : "dark";
    try { localStorage.setItem("sveb-theme", theme); } catch { /* this page only */ }
    show();
  });
  system.addEventListener("change", show);
  show();
})();
