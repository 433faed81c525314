// Runs before the first paint: what the page looks like must not jump when the rest has loaded.
const root = document.documentElement;
root.classList.add("script");
root.dataset.drawer = localStorage.getItem(`drawer of ${root.dataset.user}`) ?? "open";
root.style.setProperty("--drawer", `${Number(localStorage.getItem("drawerHeight")) || 196}px`);
