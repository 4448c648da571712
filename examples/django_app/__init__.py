"""Jobs inside a Django project: `jobs.py` defines them, `wsgi.py` starts them where requests are served.

pip install gnomon django gunicorn
gunicorn --chdir examples --workers 2 --bind 127.0.0.1:8000 django_app.wsgi:application
"""
