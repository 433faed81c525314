// The page of a host's shell.

import { Line } from "./line.js";

const element = document.getElementById("shell");
const status = document.getElementById("shell-status");
const line = new Line(element, { status });
const [{ Console }] = await Promise.all([import("./console.js"), line.begun]);
new Console(line, {
  ended: () => {
    status.textContent = "The shell was left. Load the page again for another.";
  },
}).focus();
