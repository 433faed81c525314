// The page of a host's shell.

import { Console } from "./console.js";

const element = document.getElementById("shell");
const status = document.getElementById("shell-status");
new Console(element, {
  status,
  ended: () => {
    status.textContent = "The shell was left. Load the page again for another.";
  },
}).focus();
