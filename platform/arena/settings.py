"""Every setting of the site; what differs from place to place comes from the environment."""

import sys
import tempfile
from datetime import timedelta
from pathlib import Path
from typing import Any

import dj_database_url
import django_stubs_ext
from csp.constants import NONE, SELF
from django.utils.translation import gettext_lazy as _

from arena.env import env_bool, env_int, env_list, env_secret, env_str, with_password
from arena.operations.logs import keep_out, log_format

django_stubs_ext.monkeypatch()  # lets annotations such as File[bytes] evaluate

PACKAGE_DIR = Path(__file__).resolve().parent
ROOT_DIR = PACKAGE_DIR.parents[1]
TESTING = "pytest" in sys.modules
# Tests keep out of the folder of a platform that may be running from this checkout, and out of
# each other's where several processes run them.
_OWN_DIR = Path("test", env_str("PYTEST_XDIST_WORKER")) if TESTING else Path()
VAR_DIR = Path(env_str("ARENA_VAR") or ROOT_DIR / "var" / _OWN_DIR).resolve()


def resource_dir(name: str) -> Path:
    """Return the wheel's bundled copy of ``name`` if there is one, else the checkout's."""
    bundled = PACKAGE_DIR / name
    return bundled if bundled.is_dir() and not (ROOT_DIR / name).is_dir() else ROOT_DIR / name


# --- Security -------------------------------------------------------------------------------
DEBUG = env_bool("ARENA_DEBUG", default=False)
SECRET_KEY = env_secret("ARENA_SECRET_KEY", fallback=VAR_DIR / "secret_key")
ALLOWED_HOSTS = env_list("ARENA_HOSTS", ["127.0.0.1", "localhost", "[::1]"])
CSRF_TRUSTED_ORIGINS = env_list("ARENA_ORIGINS", [])
# Loopback has no TLS; anywhere else ARENA_HTTPS stays on and cookies travel encrypted only.
HTTPS = env_bool("ARENA_HTTPS", default=bool(env_str("ARENA_HOSTS")))
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = LANGUAGE_COOKIE_SECURE = HTTPS
SESSION_COOKIE_HTTPONLY = LANGUAGE_COOKIE_HTTPONLY = True
LANGUAGE_COOKIE_SAMESITE = "Lax"
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
SECURE_HSTS_SECONDS = 31_536_000 if HTTPS else 0
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if HTTPS else None
X_FRAME_OPTIONS = "DENY"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "data:"],
        "font-src": [SELF],
        "connect-src": [SELF],
        "form-action": [SELF],
        "base-uri": [NONE],
        "frame-ancestors": [NONE],
        "manifest-src": [SELF],
    }
}

# --- Application ----------------------------------------------------------------------------
ROOT_URLCONF = "arena.urls"
WSGI_APPLICATION = "arena.wsgi.application"
AUTH_USER_MODEL = "accounts.User"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
INSTALLED_APPS = [
    "arena.apps.ArenaAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.humanize",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "django.forms",  # where the form renderer finds the templates of widgets
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.usersessions",
    "csp",
    "django_htmx",
    "rest_framework",
    "arena.accounts",
    "arena.operations",
    "competitions",
    "submissions",
    "evaluation",
]
MIDDLEWARE = [
    "arena.operations.probes.ProbesMiddleware",
    "arena.operations.requests.RequestIdMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "arena.accounts.preferences.PreferencesMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [resource_dir("templates")],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
FORM_RENDERER = "arena.forms.SiteRenderer"
# --- Mail -----------------------------------------------------------------------------------
# Where the site is, for links in mails, which workers write without a request.
SITE_URL = env_str("ARENA_URL", f"http://127.0.0.1:{env_int('PORT', 8000)}").rstrip("/")
EMAIL_HOST = env_str("ARENA_SMTP_HOST")
EMAIL_PORT = env_int("ARENA_SMTP_PORT", 587)
EMAIL_HOST_USER = env_str("ARENA_SMTP_USER")
EMAIL_HOST_PASSWORD = env_secret("ARENA_SMTP_PASSWORD")
EMAIL_USE_SSL = EMAIL_PORT == 465  # encrypted from the first byte; elsewhere by STARTTLS
EMAIL_USE_TLS = not EMAIL_USE_SSL and env_bool("ARENA_SMTP_TLS", default=True)
EMAIL_TIMEOUT = 20
DEFAULT_FROM_EMAIL = SERVER_EMAIL = env_str("ARENA_MAIL_FROM", "StyleArena <noreply@localhost>")
# Without a server, mails are written to the log: enough to try the site out.
EMAIL_BACKEND = f"django.core.mail.backends.{'smtp' if EMAIL_HOST else 'console'}.EmailBackend"

# --- Accounts -------------------------------------------------------------------------------
AUTHENTICATION_BACKENDS = ["allauth.account.auth_backends.AuthenticationBackend"]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = LOGOUT_REDIRECT_URL = "home"
ACCOUNT_LOGIN_METHODS = {"username", "email"}
ACCOUNT_SIGNUP_FIELDS = ["username*", "email*", "password1*", "password2*"]
ACCOUNT_ADAPTER = "arena.accounts.adapter.AccountAdapter"
ACCOUNT_FORMS = {
    "login": "arena.accounts.forms.LoginForm",
    "signup": "arena.accounts.forms.SignupForm",
    "add_email": "arena.accounts.forms.AddEmailForm",
    "change_password": "arena.accounts.forms.ChangePasswordForm",
    "set_password": "arena.accounts.forms.SetPasswordForm",
    "reset_password": "arena.accounts.forms.ResetPasswordForm",
    "reset_password_from_key": "arena.accounts.forms.ResetPasswordKeyForm",
    "reauthenticate": "arena.accounts.forms.ReauthenticateForm",
}
ACCOUNT_USERNAME_VALIDATORS = "arena.accounts.forms.username_validators"
# Nobody can confirm an address where no mail is sent.
ACCOUNT_EMAIL_VERIFICATION = "mandatory" if EMAIL_HOST else "none"
ACCOUNT_EMAIL_NOTIFICATIONS = True
ACCOUNT_EMAIL_SUBJECT_PREFIX = "StyleArena: "
ACCOUNT_USERNAME_BLACKLIST = ["admin", "administrator", "organizer", "root", "stylearena"]
ACCOUNT_LOGOUT_ON_PASSWORD_CHANGE = False
ACCOUNT_MAX_EMAIL_ADDRESSES = 5
# Whoever finds a browser logged in can't move the account to an address of their own.
ACCOUNT_REAUTHENTICATION_REQUIRED = True
# Attempts per minute; the rest are allauth's own, such as five failures in five minutes a name.
ACCOUNT_RATE_LIMITS = {"login": "30/m/ip", "signup": "20/m/ip", "reset_password": "20/m/ip,5/m/key"}
ALLAUTH_TRUSTED_PROXY_COUNT = env_int("ARENA_PROXIES", 0)
MFA_SUPPORTED_TYPES = ["totp", "recovery_codes"]
MFA_TOTP_ISSUER = "StyleArena"
MFA_ALLOW_UNVERIFIED_EMAIL = not EMAIL_HOST
MFA_FORMS = {
    "authenticate": "arena.accounts.forms.AuthenticateForm",
    "reauthenticate": "arena.accounts.forms.ReauthenticateByCodeForm",
    "activate_totp": "arena.accounts.forms.ActivateTotpForm",
}
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
    )
]

# --- Data -----------------------------------------------------------------------------------
_SQLITE = {
    "ENGINE": "django.db.backends.sqlite3",
    "NAME": VAR_DIR / "db.sqlite3",
    # Kept connections and IMMEDIATE transactions: measured faster, and a writer waits for its
    # turn at the start of its transaction instead of failing in the middle of it.
    "CONN_MAX_AGE": None,
    # A file, as in production: connections to one in memory share locks that files don't have.
    "TEST": {"NAME": VAR_DIR / "test.sqlite3"},
    "OPTIONS": {
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
    },
}
DATABASE_URL = env_str("DATABASE_URL")
# A server that is gone without a word must not hold a request, or a worker, for minutes.
_PATIENCE = {
    "connect_timeout": 5,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}
DATABASES: dict[str, dict[str, Any]] = {
    "default": (
        {**dj_database_url.parse(DATABASE_URL, conn_max_age=600, conn_health_checks=True)}
        if DATABASE_URL
        else _SQLITE
    )
}
if DATABASE_URL:
    DATABASES["default"]["OPTIONS"] = _PATIENCE | DATABASES["default"].get("OPTIONS", {})
if DATABASE_URL and (_password := env_secret("DATABASE_PASSWORD")):
    DATABASES["default"]["PASSWORD"] = _password  # a file of its own keeps it out of the address
MEDIA_ROOT = VAR_DIR / "media"  # no public URL: every file goes through a view that asks who may
FEATURE_CACHE_DIR = VAR_DIR / "cache" / "features"
# Unset, published weights are fetched on first use and kept in the user's cache.
WEIGHTS_DIR = Path(env_str("ARENA_WEIGHTS_DIR")) if env_str("ARENA_WEIGHTS_DIR") else None
FILE_UPLOAD_TEMP_DIR = VAR_DIR / "tmp"
FILE_UPLOAD_HANDLERS = ["django.core.files.uploadhandler.TemporaryFileUploadHandler"]
FILE_UPLOAD_PERMISSIONS = 0o600
# Uploads that come in pieces: how long one may rest, and how much each user may have under way.
UPLOAD_EXPIRES_AFTER = timedelta(hours=env_int("ARENA_UPLOAD_HOURS", 24))
UPLOADS_AT_ONCE = env_int("ARENA_UPLOADS_AT_ONCE", 5)
UPLOAD_BYTES_AT_ONCE = env_int("ARENA_UPLOAD_MIB_AT_ONCE", 2048) << 20
for _folder in (MEDIA_ROOT, FILE_UPLOAD_TEMP_DIR, FEATURE_CACHE_DIR):
    _folder.mkdir(mode=0o700, parents=True, exist_ok=True)

# Pictures of runs that ended so long ago may go, but for each team's few best and latest ones.
OUTPUTS_KEPT_FOR = timedelta(days=env_int("ARENA_OUTPUTS_DAYS", 0))  # zero: for ever
OUTPUTS_KEPT = env_int("ARENA_OUTPUTS_KEPT", 3)

REDIS_PASSWORD = env_secret("REDIS_PASSWORD")
REDIS_URL = with_password(env_str("REDIS_URL"), REDIS_PASSWORD)
CACHES = {
    "default": (
        {
            "BACKEND": "arena.cache.ForgivingRedisCache",
            "LOCATION": REDIS_URL,
            "OPTIONS": {"socket_connect_timeout": 1, "socket_timeout": 2},
        }
        if REDIS_URL
        else {
            "BACKEND": "django.core.cache.backends.filebased.FileBasedCache",
            "LOCATION": VAR_DIR / "cache" / "django",
        }
    )
}

# How long a board is shown to visitors as it was made; one that is published is made at once.
PAGES_KEPT_S = 0 if TESTING else env_int("ARENA_PAGES_KEPT_SECONDS", 5)

# --- Static files ---------------------------------------------------------------------------
STATIC_URL = "/static/"
STATIC_ROOT = VAR_DIR / "static"
STATICFILES_DIRS = [resource_dir("static")]
# Named, a bucket has the files instead of MEDIA_ROOT. The names are those of Amazon's own tools.
AWS_STORAGE_BUCKET_NAME = env_str("AWS_STORAGE_BUCKET_NAME")
AWS_S3_ENDPOINT_URL = env_str("AWS_S3_ENDPOINT_URL") or None
AWS_S3_REGION_NAME = env_str("AWS_S3_REGION_NAME") or None
AWS_S3_ADDRESSING_STYLE = env_str("AWS_S3_ADDRESSING_STYLE") or None
AWS_LOCATION = env_str("AWS_LOCATION")
AWS_S3_ACCESS_KEY_ID = env_secret("AWS_ACCESS_KEY_ID") or None
AWS_S3_SECRET_ACCESS_KEY = env_secret("AWS_SECRET_ACCESS_KEY") or None
STORAGES = {
    "default": {
        "BACKEND": (
            "arena.object_storage.ObjectStorage"
            if AWS_STORAGE_BUCKET_NAME
            else "django.core.files.storage.FileSystemStorage"
        )
    },
    "staticfiles": {
        "BACKEND": (
            "django.contrib.staticfiles.storage.StaticFilesStorage"
            if TESTING
            else "whitenoise.storage.CompressedManifestStaticFilesStorage"
        )
    },
}
WHITENOISE_USE_FINDERS = TESTING

# --- Languages ------------------------------------------------------------------------------
LANGUAGE_CODE = "en"
LANGUAGES = [("en", _("English")), ("zh-hans", _("Simplified Chinese"))]
LOCALE_PATHS = [resource_dir("locale")]
FORMAT_MODULE_PATH = "arena.formats"
USE_I18N = USE_TZ = True
TIME_ZONE = env_str("ARENA_TIME_ZONE", "UTC")

# --- REST -----------------------------------------------------------------------------------
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "arena.accounts.authentication.ApiTokenAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticatedOrReadOnly"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": [
        "rest_framework.parsers.JSONParser",
        "rest_framework.parsers.MultiPartParser",
    ],
    "DEFAULT_PAGINATION_CLASS": "arena.pagination.Page",
    "PAGE_SIZE": 50,
    "EXCEPTION_HANDLER": "arena.errors.to_response",
    "DEFAULT_THROTTLE_CLASSES": [
        "rest_framework.throttling.AnonRateThrottle",
        "rest_framework.throttling.UserRateThrottle",
    ],
    "DEFAULT_THROTTLE_RATES": {
        "anon": env_str("ARENA_THROTTLE_ANON", "600/min"),
        "user": env_str("ARENA_THROTTLE_USER", "1200/min"),
        "upload": env_str("ARENA_THROTTLE_UPLOAD", "60/hour"),
        "worker": env_str("ARENA_THROTTLE_WORKER", "6000/min"),
    },
    "NUM_PROXIES": env_int("ARENA_PROXIES", 0),
    "UNAUTHENTICATED_USER": "django.contrib.auth.models.AnonymousUser",
}

# --- Work: the database row is the truth, a message only a hint -------------------------------
EVALUATION_LEASE = timedelta(seconds=env_int("ARENA_LEASE_SECONDS", 30))
EVALUATION_HEARTBEAT = timedelta(seconds=env_int("ARENA_HEARTBEAT_SECONDS", 10))
# Each worker writes into the database that it is there; three missed beats, and it is not.
WORKER_BEAT = timedelta(seconds=env_int("ARENA_WORKER_BEAT_SECONDS", 10))
WORKER_SILENCE = 3 * WORKER_BEAT
# Touched by workers and the sweeper while they live, for the health checks of containers.
SIGN_OF_LIFE = env_str("ARENA_SIGN_OF_LIFE")
EVALUATION_THREADS = env_int("ARENA_THREADS", 1)
EVALUATION_DEVICE = env_str("ARENA_DEVICE") or "cpu"
# How many sandboxes a worker keeps ready; 0 for two where checks are made, else one.
WARM_SANDBOXES = env_int("ARENA_WARM_SANDBOXES", 0)
# Runs of more pairs are divided among workers: so many for each, a multiple of 64.
EVALUATION_SHARD_PAIRS = env_int("ARENA_SHARD_PAIRS", 256)
EVALUATION_MAX_FAULTS = env_int("ARENA_MAX_FAULTS", 5)
SWEEP_INTERVAL = timedelta(seconds=env_int("ARENA_SWEEP_SECONDS", 2))
# A message may be lost; a row that has waited this long without one gets another.
RESEND_AFTER = timedelta(seconds=env_int("ARENA_RESEND_SECONDS", 30))

CELERY_APP = "arena.celery.app"
# How workers elsewhere reach Redis; each gets a user and a password of its own in it.
WORKER_BROKER_URL = env_str("ARENA_WORKER_BROKER_URL") or REDIS_URL
BROKER_DIR = VAR_DIR / "broker"
# Redis on a Unix socket: its own client and Celery spell the address differently.
CELERY_BROKER_URL = REDIS_URL.replace("unix://", "redis+socket://", 1) or "filesystem://localhost"
if REDIS_URL:
    # Far longer than any run: a worker that dies is noticed by its lease, not by the broker.
    CELERY_BROKER_TRANSPORT_OPTIONS: dict[str, object] = {
        "visibility_timeout": 6 * 3600,
        # Where Redis is away, an upload or a sweep that wants to send a message goes on at once.
        "max_retries": 1,
        "interval_start": 0,
        "interval_step": 0.1,
        "interval_max": 0.1,
    }
else:
    for _folder in (BROKER_DIR / "queue", BROKER_DIR / "control"):
        _folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    CELERY_BROKER_TRANSPORT_OPTIONS = {
        "data_folder_in": str(BROKER_DIR / "queue"),
        "data_folder_out": str(BROKER_DIR / "queue"),
        "control_folder": str(BROKER_DIR / "control"),
        "polling_interval": 0.1,
    }
    # kombu moves a message it fetches through the temporary folder. On this file system a move
    # is one step that only one worker wins, and nobody else can read the folder.
    tempfile.tempdir = str(FILE_UPLOAD_TEMP_DIR)
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_TASK_IGNORE_RESULT = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_DEFAULT_QUEUE = "evaluation"
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_TASK_PUBLISH_RETRY = False  # a web request does not wait for a broker: the sweeper re-sends

# --- Figures ----------------------------------------------------------------------------------
# Without one, /metrics answers to this machine and private networks only, never through a proxy.
METRICS_TOKEN = env_secret("ARENA_METRICS_TOKEN")

# --- Logs -----------------------------------------------------------------------------------
keep_out(
    SECRET_KEY,
    EMAIL_HOST_PASSWORD,
    METRICS_TOKEN,
    REDIS_PASSWORD,
    AWS_S3_SECRET_ACCESS_KEY or "",
    str(DATABASES["default"].get("PASSWORD") or ""),
)
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"arena": {"()": "arena.operations.logs.make_formatter"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "arena"}},
    "root": {"handlers": ["stderr"], "level": env_str("ARENA_LOG_LEVEL", "INFO")},
    # A line for each request is for programs that read logs, not for a terminal.
    "loggers": {
        "arena.operations.requests": {"level": "INFO" if log_format() == "json" else "WARNING"}
    },
}
