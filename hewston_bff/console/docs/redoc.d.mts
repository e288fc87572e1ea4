// The part of Redoc that the page uses.
export function init(
  url: string,
  options: { disableTelemetry: boolean; router: "hash" | "history" },
  element: Element,
): void;
