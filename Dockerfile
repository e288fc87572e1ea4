# docker build --target production -t hewston-bff .     the service (the default)
# docker build --target development -t hewston-bff:dev .    sources, tools and tests
# The Python of the tests; 3.12 and 3.13 take the same lock files.
ARG PYTHON_VERSION=3.11

FROM python:${PYTHON_VERSION}-slim-bookworm AS development
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PYTHONDONTWRITEBYTECODE=1
WORKDIR /src
RUN chown 10001:10001 .
USER 10001:10001
ENV HOME=/src
COPY --chown=10001:10001 . .
RUN ["bash", "-euc", "source scripts/env && install_locked .ci/requirements-test.txt"]
ENV PATH=/src/.venv/bin:$PATH
CMD ["scripts/check"]

FROM python:${PYTHON_VERSION}-slim-bookworm AS builder
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python -m venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH
WORKDIR /src
# What changes rarely first: the layer of the dependencies is built again only for a new lock.
COPY .ci/requirements.txt .ci/
RUN pip install --require-hashes --no-deps -r .ci/requirements.txt
COPY pyproject.toml setup.cfg README.md LICENSE ./
COPY scripts/build_console.py scripts/
COPY hewston_bff hewston_bff
RUN pip install --no-deps . && pip check

FROM python:${PYTHON_VERSION}-slim-bookworm AS production
COPY --from=builder /opt/venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    BFF_HOST=0.0.0.0 \
    BFF_PORT=8001
# By number, so that an orchestrator can see that it is not root.
USER 10001:10001
EXPOSE 8001
STOPSIGNAL SIGTERM
# Not urllib: it would ask a proxy named in the environment.
HEALTHCHECK --interval=10s --timeout=5s --start-period=10s --retries=3 CMD ["python", "-c", "import http.client, os, sys; c = http.client.HTTPConnection('127.0.0.1', int(os.environ['BFF_PORT']), timeout=3); c.request('GET', '/api/v1/health/live'); sys.exit(c.getresponse().status != 200)"]
ENTRYPOINT ["hewston-bff", "serve"]
