import { h } from "./dom.js";

/** The mark of what is made up, to look around. */
export const simulatedMark = () => h("span", { class: "pill simulated", title: "This is made up by the server, to look around: no market, no orders" }, "simulated");
