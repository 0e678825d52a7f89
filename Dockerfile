# Two images from one file:
#   docker build --target service -t claimline .
#   docker build --target engine -t claimline-engine .
# RTP (sip.rtp_port_min to sip.rtp_port_max, UDP 10000-10999 by default) is not EXPOSEd: publish the range that you
# configure, or run on the host's network, which spares a thousand port mappings.

FROM python:3.12-slim-bookworm AS build
WORKDIR /src
COPY requirements/build.txt requirements/runtime.txt requirements/
RUN python -m venv /opt/claimline \
    && /opt/claimline/bin/pip install --no-cache-dir --disable-pip-version-check --only-binary :all: --require-hashes \
        -r requirements/build.txt -r requirements/runtime.txt
COPY pyproject.toml README.md LICENSE ./
COPY service service
COPY sip sip
RUN /opt/claimline/bin/pip install --no-cache-dir --disable-pip-version-check --no-deps --no-build-isolation .

FROM build AS build-engine
COPY requirements/local.txt requirements/
RUN /opt/claimline/bin/pip install --no-cache-dir --disable-pip-version-check --only-binary :all: --require-hashes \
        -r requirements/local.txt \
    && /opt/claimline/bin/pip uninstall --yes setuptools pip

FROM build AS build-service
RUN /opt/claimline/bin/pip uninstall --yes setuptools pip

FROM python:3.12-slim-bookworm AS rootless
RUN useradd --system --uid 10001 --user-group --home-dir /var/lib/claimline --create-home claimline
ENV PATH=/opt/claimline/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1
WORKDIR /var/lib/claimline
VOLUME /var/lib/claimline
USER 10001:10001
STOPSIGNAL SIGTERM
ENTRYPOINT ["claimline"]

FROM rootless AS engine
COPY --from=build-engine /opt/claimline /opt/claimline
EXPOSE 8765/tcp
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s \
    CMD ["python", "-c", "import os, socket; socket.create_connection(('127.0.0.1', int(os.environ.get('CLAIMLINE_ENGINE__PORT', 8765))), 2)"]
CMD ["engine"]

FROM rootless AS service
COPY --from=build-service /opt/claimline /opt/claimline
EXPOSE 5060/udp 5060/tcp 8080/tcp
HEALTHCHECK --interval=10s --timeout=3s --start-period=15s \
    CMD ["python", "-c", "import os, urllib.request; urllib.request.urlopen(f\"http://127.0.0.1:{os.environ.get('CLAIMLINE_HTTP__PORT', 8080)}/healthz\", timeout=2)"]
CMD ["serve"]
