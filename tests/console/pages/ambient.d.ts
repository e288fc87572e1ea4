// As much of React, of a bundler and of a page as the documents' examples name.
declare module "react" {
  export interface Context<T> { readonly value: T }
  export interface Ref<T> { current: T }
  export function createContext<T>(value: T): Context<T>;
  export function useContext<T>(context: Context<T>): T;
  export function useEffect(effect: () => void | (() => void), dependencies: readonly unknown[]): void;
  export function useRef<T>(value: T): Ref<T>;
  export function useState<T>(value: T): [T, (value: T) => void];
}
interface ImportMeta { readonly env: { readonly VITE_BFF_URL: string } }
declare const token: string;
declare const chart: { update(frame: import("./client/hewston-bff.js").Frame): void };
declare function toast(message: string, more?: unknown): void;
declare const apiKey: string;
declare const board: { show(topic: string, data: unknown, ageMs: number): void; grey(isGrey: boolean): void };
