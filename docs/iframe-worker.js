// Browsers start no web worker from file://. There the search runs in a hidden frame instead, so that it works offline.
if (location.protocol === "file:") {
  window.Worker = class extends EventTarget {
    constructor(url) {
      super();
      const frame = document.createElement("iframe");
      frame.hidden = true;
      document.documentElement.appendChild(frame);
      this.window = frame.contentWindow;
      this.window.postMessage = (data) => this.#send(this, data);
      this.waiting = [];
      const script = frame.contentDocument.createElement("script");
      script.onload = () => {
        for (const data of this.waiting) this.#send(this.window, data);
        this.waiting = null;
      };
      script.src = new URL(url, document.baseURI).href;
      frame.contentDocument.head.appendChild(script);
    }
    postMessage(data) {
      if (this.waiting) this.waiting.push(data);
      else this.#send(this.window, data);
    }
    terminate() {
      this.window.frameElement.remove();
    }
    #send(target, data) {
      setTimeout(() => target.dispatchEvent(new MessageEvent("message", { data })));
    }
  };
}
